import pytest

from computed import exception
from computed.periodic import timetable


def started(part=0.25, spacing=100):
    table = timetable.Timetable(part)
    table.start(1000, spacing)
    return table


def test_the_fraction_is_the_same_in_every_process():
    # A figure, since a hash that differs per process would pass otherwise.
    assert timetable.fraction('host-1', '_sync_power_states') == (
        pytest.approx(0.505727, abs=1e-6))


def test_hosts_and_tasks_are_spread_over_the_whole_spacing():
    for names in ([(f'host-{n}', '_task') for n in range(1000)],
                  [('host', f'_task_{n}') for n in range(1000)]):
        tenths = [0] * 10
        for host, task in names:
            tenths[int(timetable.fraction(host, task) * 10)] += 1
        assert min(tenths) > 60 and max(tenths) < 140


def test_a_host_name_does_not_run_into_a_task_name():
    assert timetable.fraction('ab', 'c') != timetable.fraction('a', 'bc')


@pytest.mark.parametrize('spacing, expected', [
    ('interval', 600),
    ('off', None),
    (30, 30),
    (0.5, 0.5),
    (0, 60),
    (None, 60),
    (-1, None),
])
def test_what_a_spacing_means(spacing, expected):
    options = {'interval': 600, 'off': 0}
    assert timetable.seconds(spacing, options) == expected


def test_a_negative_option_is_refused_with_the_remedy():
    with pytest.raises(exception.ConfigError) as caught:
        timetable.seconds('interval', {'interval': -1})
    assert str(caught.value) == (
        '[tasks] interval = -1: an interval cannot be negative. '
        'Write 0 to turn the task off.')


@pytest.mark.parametrize('spacing, expected', [
    (600, 600), (60, 60), (5, 60), (None, 60)])
def test_the_deadline_is_the_spacing_but_a_minute_at_least(spacing, expected):
    assert timetable.deadline(spacing) == expected


@pytest.mark.parametrize('after, expected', [
    (1000, 1025), (1024.9, 1025), (1025, 1125), (1025.1, 1125), (0, 25)])
def test_the_next_slot_is_the_first_later_one(after, expected):
    assert timetable.next_slot(after, 100, 0.25) == expected


def test_slots_follow_each_other_whatever_the_rounding():
    for spacing in (0.1, 0.3, 7, 60, 86400):
        for part in (0, 1 / 3, 0.1, 1 - 2 ** -48):
            at = 123456.789
            for _ in range(1000):
                later = timetable.next_slot(at, spacing, part)
                assert at < later <= at + spacing * 1.000001
                at = later


@pytest.mark.parametrize('spacing, failures, expected', [
    (60, 1, 60),
    (60, 2, 120),
    (60, 3, 240),
    (60, 4, 480),
    (60, 5, 480),
    (60, 5000, 480),
    (1200, 1, 1200),
    (1200, 2, 2400),
    (1200, 3, 3600),
    (7200, 1, 7200),
    (7200, 9, 7200),
])
def test_failures_double_the_wait_up_to_a_limit(spacing, failures, expected):
    assert timetable.backoff(spacing, failures, 0) == expected


def test_backing_off_spreads_by_a_tenth_and_never_shortens():
    assert timetable.backoff(60, 1, 0.999) == pytest.approx(66, abs=0.1)


@pytest.mark.parametrize('retry_after, jitter, expected', [
    (5, 0, 5),
    (5, 0.5, 7.5),
    (0, 0, 1),
    (-3, 0, 1),
    (float('inf'), 0, 3600),
    (float('nan'), 0, 1),
])
def test_a_task_put_off_comes_back_when_told_or_later(
        retry_after, jitter, expected):
    assert timetable.retry(retry_after, jitter) == expected


def test_the_first_run_is_at_the_first_slot():
    assert started().due == 1025


def test_a_restart_moves_no_slot():
    table = timetable.Timetable(0.25)
    for started in (1000, 1003, 1024):
        table.start(started, 100)
        assert table.due == 1025


@pytest.mark.parametrize('within, expected', [
    (60, 1015), (0, 1000), (500, 1025)])
def test_an_immediate_task_runs_within_the_delay_or_its_spacing(
        within, expected):
    table = timetable.Timetable(0.25)
    table.start(1000, 100, within)
    assert table.due == expected


def test_a_task_that_is_off_is_never_due():
    table = started(spacing=None)
    table.start(1000, None, within=60)
    assert table.due is None and not table.is_due(10 ** 9)


def test_a_task_is_due_from_its_time_on():
    table = started()
    assert [table.is_due(now) for now in (1024.9, 1025, 1026)] == [
        False, True, True]


def test_due_times_keep_to_the_grid_however_late_the_look():
    table = started()
    table.advance(1031)
    assert table.due == 1125


def test_missed_slots_are_dropped():
    table = started()
    table.advance(1460)
    assert table.due == 1525


def test_a_slot_right_after_a_run_off_the_grid_is_left_out():
    table = timetable.Timetable(0.25)
    table.start(1000, 100, within=60)       # due 1015, the grid says 1025
    table.advance(1015)
    assert table.due == 1125


def test_another_spacing_has_another_grid_at_once():
    table = started()
    table.change(1001, 10)
    assert (table.spacing, table.due) == (10, 1002.5)


def test_turned_off_and_on_again():
    table = started()
    table.change(1001, None)
    assert table.due is None
    table.change(1030, 100)
    assert table.due == 1125


def test_the_same_spacing_changes_nothing():
    table = started()
    table.failed(1030, 0)
    table.change(1031, 100)
    assert table.due == 1130


def test_a_failed_run_is_repeated_later_and_later_until_one_goes_well():
    table = started()
    table.advance(1025)
    table.failed(1026, 0)
    assert (table.due, table.failures) == (1126, 1)
    table.advance(1126)
    table.failed(1127, 0)
    assert (table.due, table.failures) == (1327, 2)
    table.advance(1327)
    table.succeeded(1328)
    assert (table.due, table.failures) == (1425, 0)


def test_a_good_run_by_hand_ends_the_backing_off():
    table = started()
    for _ in range(4):
        table.failed(1026, 0)
    assert table.due == 1826
    table.succeeded(1030)
    assert table.due == 1125


def test_a_good_run_does_not_move_the_next_slot():
    table = started()
    table.advance(1025)
    table.succeeded(1120)
    assert table.due == 1125


def test_put_off_is_no_failure():
    table = started()
    table.put_off(1026, 30, 0.5)
    assert (table.due, table.failures) == (1071, 0)


def test_a_task_that_is_off_stays_so_however_its_run_by_hand_ended():
    table = started(spacing=None)
    table.succeeded(1000)
    table.failed(1000, 0)
    table.put_off(1000, 1, 0)
    assert table.due is None
