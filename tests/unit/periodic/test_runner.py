import json
import logging
import threading
import time

import oslo_messaging as messaging
import pytest
from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_service import periodic_task as foreign

from computed import conf as computed_conf
from computed import context
from computed import exception
from computed import files
from computed import metrics
from computed import periodic
from computed.periodic import runner
from computed.periodic import timetable
from computed.periodic import workers
from computed.service import task_endpoint
from tests.support.waiting import wait_for

START = 10_000.0
WALL = 2_000_000.0      # what the wall clock is ahead of the other


class Clock:
    """Stands until it is told to go on."""

    def __init__(self):
        self.now = START
        self.wall = WALL

    def monotonic(self):
        return self.now

    def time(self):
        return self.now + self.wall


class Manager:
    host = 'host-1'


class Bench:
    """A runner, its clock, and what its one task does."""

    def __init__(self, folder, **declared):
        self.clock = Clock()
        self.conf = cfg.ConfigOpts()
        computed_conf.register_opts(self.conf)
        self.conf([], project='computed', default_config_files=[])
        self.conf.set_override('periodic_fuzzy_delay', 0)
        self.begun = []         # the context of each run
        self.go_on = threading.Event()
        self.go_on.set()
        self.do = lambda context: None
        self.new_context = context.new
        self.folder = folder
        self.declared = declared
        self.running = None

    def work(self, manager, context):
        self.begun.append(context)
        assert self.go_on.wait(60)
        return self.do(context)

    def build(self, **others):
        declared = {'spacing': 'sync_power_state_interval', **self.declared}
        body = {'_task': periodic.periodic_task(**declared)(self.work)}
        manager = type('ManagerWithTasks', (Manager,), {**body, **others})()
        self.running = runner.Runner(
            self.conf, manager, self.new_context, str(self.folder),
            self.clock)

    def start(self, **others):
        self.build(**others)
        self.running.start()

    def option(self, name, value, group=None):
        self.conf.set_override(name, value, group)

    def every(self, seconds):
        self.option('sync_power_state_interval', seconds, 'tasks')

    def to(self, moment):
        """Let time pass and the scheduler look at the clock."""
        self.clock.now = moment
        self.running.reload()

    def described(self, name='_task'):
        return next(task for task in self.running.describe()
                    if task['name'] == name)

    def due(self, name='_task'):
        """When the next run is due, by the monotonic clock and exactly."""
        return self.running._slots[name].timetable.due

    def to_next_slot(self, name='_task'):
        """Go to when the task is due, until that was noticed."""
        due = self.due(name)
        self.to(due)
        wait_for(lambda: self.due(name) > due)

    def to_next_run(self):
        """Let the task run when it is due; returns the record."""
        runs = self.described()['runs']
        self.to(self.due())
        wait_for(lambda: self.described()['runs'] > runs)
        return self.described()['last']

    def asked(self, accept=None):
        return self.running.trigger('_task', accept).result(60)


@pytest.fixture
def bench(request, tmp_path):
    declared = getattr(request, 'param', {})
    bench = Bench(tmp_path, **declared)
    yield bench
    bench.go_on.set()
    if bench.running:
        assert bench.running.stop(10) == []


immediate = pytest.mark.parametrize(
    'bench', [{'run_immediately': True}], indirect=True)


def count(result, task='_task'):
    return metrics.task_runs.labels(task, result)._value.get()


def fail(context):
    raise ValueError('no hypervisor\nbut a second line')


# -- when

def test_the_first_run_is_at_this_hosts_place_within_one_spacing(bench):
    bench.start()
    due = bench.due()
    assert START < due <= START + 600
    assert due / 600 % 1 == pytest.approx(
        timetable.fraction('host-1', '_task'))
    bench.to(due - 0.001)
    assert bench.described()['runs'] == 0 and not bench.begun
    bench.to_next_run()
    assert len(bench.begun) == 1
    assert bench.due() == due + 600


@immediate
def test_an_immediate_task_runs_at_start(bench):
    bench.start()
    wait_for(lambda: bench.described()['runs'] == 1)


@immediate
def test_immediate_runs_are_spread_over_the_fuzzy_delay(bench):
    bench.option('periodic_fuzzy_delay', 60)
    bench.start()
    assert bench.due() == pytest.approx(
        START + 60 * timetable.fraction('host-1', '_task'))


def test_runs_go_on(bench):
    bench.start()
    first = bench.due()
    for _ in range(3):
        bench.to_next_run()
    assert bench.due() == first + 3 * 600


def test_slots_that_were_missed_are_not_made_up_for(bench):
    bench.start()
    first = bench.due()
    bench.to(first + 6001)
    wait_for(lambda: bench.described()['runs'] == 1)
    assert bench.due() == first + 6600


def test_a_jump_of_the_wall_clock_does_not_matter(bench):
    bench.start()
    due = bench.due()
    assert bench.described()['next_run_at'] == pytest.approx(due + WALL)
    bench.clock.wall += 10 ** 6
    bench.running.reload()
    assert bench.due() == due
    assert bench.described()['next_run_at'] == pytest.approx(
        due + WALL + 10 ** 6)
    assert bench.described()['runs'] == 0


def test_another_interval_holds_from_the_reload_on(bench):
    bench.start()
    bench.every(10)
    assert bench.described()['spacing'] == 600
    bench.running.reload()
    assert bench.described()['spacing'] == 10
    assert bench.due() <= START + 10
    bench.to_next_run()


def test_another_interval_is_seen_when_the_task_is_due(bench):
    bench.start()
    due = bench.due()
    bench.every(0)
    with bench.running._changed:    # as the time goes by: without a reload
        bench.clock.now = due
        bench.running._changed.notify_all()
    wait_for(lambda: bench.described()['next_run_at'] is None)
    assert bench.described()['runs'] == 0


@immediate
def test_zero_is_off_and_a_reload_turns_it_on(bench):
    bench.every(0)
    bench.start()
    assert bench.described()['spacing'] == 0
    assert bench.described()['next_run_at'] is None
    bench.to(START + 10 ** 6)
    bench.every(10)
    bench.running.reload()
    bench.to_next_run()
    bench.every(0)
    bench.running.reload()
    assert bench.described()['next_run_at'] is None


@immediate
def test_nothing_runs_while_periodic_tasks_are_disabled(bench):
    bench.option('periodic_enable', False)
    bench.start()
    assert bench.described()['next_run_at'] is None
    bench.option('periodic_enable', True)
    bench.running.reload()
    bench.to_next_run()


@pytest.mark.parametrize('bench, spacing', [
    ({'spacing': 0}, 60), ({'spacing': None}, 60), ({'spacing': 5}, 5),
    ({'spacing': -1}, 0)], indirect=['bench'])
def test_numbers_mean_what_they_mean_to_oslo_service(bench, spacing):
    bench.start()
    assert bench.described()['spacing'] == spacing
    assert (bench.described()['next_run_at'] is None) == (spacing == 0)


def test_a_negative_interval_is_refused_before_anything_starts(bench):
    bench.every(-1)
    with pytest.raises(exception.ConfigError, match='Write 0'):
        bench.build()


@pytest.mark.parametrize('bench', [{'spacing': 'moon_phase'}], indirect=True)
def test_a_spacing_without_an_option_is_refused(bench):
    with pytest.raises(cfg.NoSuchOptError, match='moon_phase'):
        bench.build()


def test_a_bad_interval_after_a_reload_leaves_the_old_one(bench, caplog):
    bench.start()
    due = bench.due()
    bench.every(-5)
    bench.running.reload()
    assert (bench.described()['spacing'], bench.due()) == (600, due)
    assert 'keeps its interval of 600 s' in caplog.text
    bench.to_next_run()


# -- each in its own slot

def test_a_hanging_task_delays_no_other(bench):
    bench.option('periodic_workers', 2)
    ran = threading.Event()
    bench.go_on.clear()
    bench.start(_other=periodic.periodic_task(spacing=10)(
        lambda manager, context: ran.set()))
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    bench.to(bench.due('_other'))
    assert ran.wait(60)


def test_a_task_never_runs_twice_at_once(bench):
    bench.start()
    before = count('skipped_overlap')
    bench.go_on.clear()
    bench.to(bench.due())
    wait_for(lambda: bench.begun)
    for skipped in (1, 2):
        bench.to_next_slot()
        assert bench.described()['skipped_overlap'] == skipped
    assert count('skipped_overlap') == before + 2
    bench.go_on.set()
    wait_for(lambda: bench.described()['runs'] == 1)
    assert len(bench.begun) == 1
    bench.to_next_run()


def test_a_run_that_waits_for_a_thread_is_not_queued_twice(bench):
    bench.option('periodic_workers', 1)
    bench.go_on.clear()
    other = threading.Event()
    bench.start(_other=periodic.periodic_task(spacing=50)(
        lambda manager, context: other.set()))
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    for skipped in (0, 1):
        bench.to_next_slot('_other')
        assert bench.described('_other')['skipped_overlap'] == skipped
    bench.go_on.set()
    wait_for(lambda: bench.described('_other')['runs'] == 1)


def test_a_run_beyond_its_deadline_is_reported_once_with_its_stack(
        bench, caplog):
    bench.every(10)
    bench.start()
    before = count('deadline')
    bench.go_on.clear()
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    bench.to(START + 59.9)
    assert bench.running.digest()['overdue'] == []
    bench.to(START + 60)
    wait_for(lambda: 'its deadline is 60 s' in caplog.text)
    assert bench.running.digest()['overdue'] == ['_task']
    for later in (61, 70, 200):
        bench.to(START + later)
        wait_for(lambda now=START + later: bench.due() > now)
    reports = [line for line in caplog.records
               if 'its deadline is 60 s' in line.getMessage()]
    assert len(reports) == 1 and reports[0].levelname == 'WARNING'
    assert 'go_on.wait' in reports[0].getMessage(), 'where it hangs'
    assert reports[0].context.request_id == bench.begun[0].request_id
    assert count('deadline') == before + 1
    bench.go_on.set()
    wait_for(lambda: 'has ended after' in caplog.text)
    assert bench.running.digest()['overdue'] == []


def periodic_threads():
    return [thread for thread in threading.enumerate()
            if thread.name == 'periodic']


def test_a_thread_that_hangs_is_replaced_for_as_long_as_it_hangs(bench):
    wait_for(lambda: not periodic_threads())
    bench.option('periodic_workers', 1)
    ran = threading.Event()
    bench.go_on.clear()
    bench.start(_other=periodic.periodic_task(spacing=-1)(
        lambda manager, context: ran.set()))
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    bench.running.trigger('_other')
    assert len(periodic_threads()) == 1 and not ran.is_set()
    bench.to(START + 600)
    assert ran.wait(60)
    assert len(periodic_threads()) == 2
    bench.go_on.set()
    wait_for(lambda: len(periodic_threads()) == 1)
    assert bench.asked().outcome == 'ok', 'the one that is left works'


# -- how it went

def test_a_run_leaves_a_record(bench):
    def work(context):
        bench.clock.now += 2.5
        context.reads.note(origin('replica'), 0.0)
        context.reads.note(origin('replica'), 0.0)
        context.reads.note(origin('primary'), 0.0)
        return periodic.Report(candidates=5, acted=4, recorded=3,
                               lost_races=2, refused=1, failed=6,
                               note='so it was')

    bench.do = work
    bench.start()
    due = bench.due()
    before = count('ok')
    assert bench.to_next_run() == {
        'task': '_task', 'request_id': bench.begun[0].request_id,
        'started_at': due + WALL, 'duration': 2.5, 'outcome': 'ok',
        'error': None, 'candidates': 5, 'acted': 4, 'recorded': 3,
        'lost_races': 2, 'refused': 1, 'failed': 6, 'note': 'so it was',
        'reads': {'replica': 2, 'primary': 1}, 'triggered': False}
    wait_for(lambda: count('ok') == before + 1)


def origin(role):
    return context.Origin(role, 'node', 'reason', 0.0)


def test_each_run_has_a_context_of_its_own(bench):
    bench.start()
    first, second = bench.asked(), bench.asked()
    assert first.request_id != second.request_id
    assert bench.begun[0] is not bench.begun[1]


def test_log_lines_of_a_run_carry_its_request_id(bench):
    seen = []
    bench.do = lambda context: seen.append(
        oslo_context.get_current().request_id)
    # A context that does not put itself there; the log looks there.
    bench.new_context = lambda: context.RequestContext(overwrite=False)
    bench.option('periodic_workers', 1)
    bench.start()
    asked = [bench.asked().request_id for _ in range(2)]
    assert seen == asked


def test_a_failed_run_is_recorded_logged_and_backed_off(bench, caplog):
    bench.do = fail
    bench.start()
    before = count('error')
    for waited in (600, 1200, 2400, 3600, 3600):
        record = bench.to_next_run()
        assert (record['outcome'], record['error']) == (
            'error', 'ValueError: no hypervisor')
        assert waited <= bench.due() - bench.clock.now < waited * 1.1
    assert bench.described()['failures'] == 5
    assert bench.running.digest()['failing'] == ['_task']
    logged = [line for line in caplog.records if line.exc_info]
    assert len(logged) == 5 and '_task' in logged[0].getMessage()
    wait_for(lambda: count('error') == before + 5)
    bench.do = lambda context: None
    bench.to_next_run()
    assert bench.running.digest()['failing'] == []
    assert bench.due() - bench.clock.now <= 900


@pytest.mark.parametrize('error', [SystemExit, KeyboardInterrupt])
def test_a_task_cannot_end_the_runner(bench, error):
    def work(context):
        raise error(1)

    bench.do = work
    bench.option('periodic_workers', 1)
    bench.start()
    for _ in range(3):
        assert bench.asked().error == f'{error.__name__}: 1'


def test_an_error_that_cannot_print_itself_ends_nothing(bench):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    def work(context):
        raise Mute

    bench.do = work
    bench.start()
    assert 'Mute' in bench.asked().error
    assert bench.asked().outcome == 'error'


def test_a_context_that_cannot_be_made_is_a_failed_run(bench):
    def broken():
        raise OSError('no entropy')

    bench.new_context = broken
    bench.start()
    record = bench.asked()
    assert (record.outcome, record.error, record.request_id) == (
        'error', 'OSError: no entropy', None)


def test_busy_puts_off_and_is_no_failure(bench):
    def busy(context):
        raise exception.Busy(retry_after=30.0)

    bench.do = busy
    bench.start()
    before = count('put_off')
    record = bench.to_next_run()
    assert record['outcome'] == 'put_off'
    assert record['error'].startswith('Busy: ')
    assert 30 <= bench.due() - bench.clock.now <= 60
    assert bench.described()['failures'] == 0
    assert bench.running.digest()['failing'] == []
    wait_for(lambda: count('put_off') == before + 1)


AWAY = [exception.PrimaryUnreachable(address='db1', problem='refused'),
        exception.BrokerUnavailable(url='rabbit://r', problem='refused'),
        exception.WriteConflict()]


@pytest.mark.parametrize('error', AWAY, ids=lambda error: type(error).__name__)
def test_what_is_away_puts_off_in_one_line(bench, caplog, error):
    def away(context):
        raise error

    bench.do = away
    bench.every(10)
    bench.start()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            record = bench.to_next_run()
            assert record['outcome'] == 'put_off'
            assert 10 <= bench.due() - bench.clock.now <= 20
        bench.do = lambda context: None
        bench.to_next_run()
    assert bench.described()['failures'] == 0
    said = [record for record in caplog.records if 'put off' in
            record.getMessage() and record.levelno >= logging.INFO]
    assert [one.getMessage().partition(':')[0] for one in said] == [
        'Periodic tasks are put off',
        'No periodic task is put off any more, after 0 s.']
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize('turned_off', ['before', 'afterwards'])
def test_a_task_that_is_off_does_not_wait(bench, caplog, turned_off):
    def away(context):
        raise exception.PrimaryUnreachable(address='db1', problem='refused')

    bench.do = away
    bench.every(0 if turned_off == 'before' else 10)
    bench.start()
    with caplog.at_level(logging.INFO):
        asked = bench.running.trigger('_task')
        assert asked.result(60).outcome == 'put_off'
        bench.every(0)
        bench.running.reload()
    said = [text.partition(',')[0] for text in caplog.messages
            if 'any more' in text]
    assert said == (turned_off == 'afterwards') * [
        'No periodic task is put off any more']
    assert len(caplog.messages) == 2 * len(said)


def test_a_typed_error_needs_no_traceback(bench, caplog):
    def refused(context):
        raise exception.DriverError(reason='the disk is gone')

    bench.do = refused
    bench.start()
    assert bench.to_next_run()['outcome'] == 'error'
    [said] = caplog.records
    assert said.getMessage() == (
        'Periodic task _task failed: DriverError: The driver failed: the disk '
        'is gone.')
    assert said.exc_info is None


# Each says what is wrong, where, and what to do.
FORESEEN = {
    'a damaged file': exception.FileDamaged(
        path='/state/tasks/a.json', reason='it is empty',
        remedy='Restore it, or move it away.'),
    'an unknown error of the database': exception.DatabaseFailed(
        address='db1', problem='no such function: x')}


@pytest.mark.parametrize('error', FORESEEN)
def test_a_typed_error_is_told_once_a_minute_and_when_it_is_over(
        bench, caplog, minutes, error):
    def failing(context):
        raise FORESEEN[error]

    bench.do = failing
    bench.every(10)
    bench.start()
    for _ in range(13):
        assert bench.to_next_run()['outcome'] == 'error'
        minutes.now += 10
    assert bench.described()['failures'] == 13
    bench.do = lambda context: None
    assert bench.to_next_run()['outcome'] == 'ok'
    text = f'{type(FORESEEN[error]).__name__}: {FORESEEN[error]}'
    said = [record for record in caplog.records
            if '_task' in record.getMessage()]
    assert [one.getMessage() for one in said] == [
        f'Periodic task _task failed: {text}',
        f'Periodic task _task has been failing for 60 s: {text}',
        f'Periodic task _task has been failing for 120 s: {text}',
        'Periodic task _task succeeds again after 130 s.']
    assert {one.levelname for one in said} == {'WARNING'}
    assert not any(one.exc_info for one in said)


def test_busy_without_a_time_comes_back_too(bench):
    def busy(context):
        raise exception.Busy('an older peer said so')

    bench.do = busy
    bench.start()
    bench.to_next_run()
    assert 60 <= bench.due() - bench.clock.now <= 120


def test_what_is_described_is_plain(bench):
    bench.start()
    assert bench.described()['last'] is None
    assert bench.described()['running_since'] is None
    bench.go_on.clear()
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    assert bench.described()['running_since'] == START + WALL
    bench.go_on.set()
    wait_for(lambda: bench.described()['runs'] == 1)
    described = bench.running.describe()
    assert json.loads(json.dumps(described)) == described
    digest = bench.running.digest()
    assert json.loads(json.dumps(digest)) == digest


def test_the_digest_says_when_a_run_last_went_well(bench):
    bench.start()
    assert bench.running.digest() == {
        'tasks': 1, 'failing': [], 'overdue': [], 'last_ok_at': None}
    bench.asked()
    bench.do = fail
    bench.clock.now += 5
    bench.asked()
    assert bench.running.digest()['last_ok_at'] == START + WALL


def test_an_unknown_task_is_a_typed_error(bench):
    bench.start()
    for ask in (bench.running.trigger, bench.running.history):
        with pytest.raises(exception.TaskNotFound, match='_nothing'):
            ask('_nothing')


# -- asked for

def test_a_run_asked_for_is_at_once_and_not_of_the_schedule(bench):
    bench.start()
    due = bench.due()
    record = bench.asked(accept=7)
    assert record.triggered
    assert bench.begun[0].accept_repairs == 7
    assert bench.due() == due
    assert bench.to_next_run()['triggered'] is False
    assert bench.begun[1].accept_repairs is None


def test_a_task_that_is_off_can_be_asked_for(bench):
    bench.every(0)
    bench.start()
    assert bench.asked().outcome == 'ok'
    assert bench.described()['next_run_at'] is None


def test_a_run_under_way_answers_nobody_the_next_answers_all(bench):
    bench.start()
    bench.go_on.clear()
    first = bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    others = [bench.running.trigger('_task', accept)
              for accept in (None, 3, 2)]
    assert not any(future.done() for future in others)
    bench.go_on.set()
    answers = [future.result(60) for future in others]
    assert all(answer is answers[0] for answer in answers)
    assert answers[0].request_id != first.result(60).request_id
    assert len(bench.begun) == 2
    assert bench.begun[1].accept_repairs == 3


def test_who_gave_up_spoils_nothing_for_the_others(bench):
    bench.start()
    bench.go_on.clear()
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    gone = bench.running.trigger('_task', 99)
    stays = bench.running.trigger('_task', 3)
    assert gone.cancel()
    bench.go_on.set()
    assert stays.result(60).outcome == 'ok'
    assert bench.begun[1].accept_repairs == 3


def test_what_was_accepted_does_not_outlive_the_question(bench):
    bench.start()
    bench.go_on.clear()
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    with pytest.raises(messaging.ExpectedException):
        task_endpoint.TaskEndpoint(bench.running, 0).run_task(
            None, '_task', accept=99)
    bench.go_on.set()
    bench.asked()
    assert [one.accept_repairs for one in bench.begun] == [None, None]


def test_a_report_of_odd_values_costs_no_thread(bench):
    """Each that could not be saved took one with it, until none was left."""
    bench.option('periodic_workers', 1)
    bench.start()
    saved = bench.folder / 'task-records.json'
    for note in (exception.TaskNotFound(name='x'), threading.Lock()):
        bench.do = lambda context, note=note: periodic.Report(note=note)
        assert bench.asked().note == str(note)
        bench.to(bench.clock.now + 2 * runner.SAVE_INTERVAL)
        wait_for(lambda text=str(note): saved.exists() and
                 text[:20] in saved.read_text())
    bench.do = lambda context: periodic.Report(candidates=['a', 'b'])
    assert bench.asked().outcome == 'error'


def test_a_job_that_fails_leaves_its_thread_to_the_next():
    pool, done = workers.Workers(1), threading.Event()
    pool.submit(fail)
    pool.submit(done.set)
    assert done.wait(60)
    pool.stop()


def test_a_failure_is_an_answer_too(bench):
    bench.do = fail
    bench.start()
    assert bench.asked().outcome == 'error'


# -- start and stop

def test_history_survives_a_restart(bench):
    bench.start()
    bench.asked()
    bench.asked()
    history = bench.running.history('_task')
    assert len(history) == 2
    bench.running.stop(10)
    bench.clock.now += 100
    bench.start()
    assert bench.running.history('_task') == history
    assert bench.running.digest()['last_ok_at'] == START + WALL
    assert bench.described()['last']['request_id'] == history[-1].request_id


def test_records_reach_the_disk_without_a_stop(bench):
    bench.start()

    def saved():
        values = files.read_json(bench.folder / 'task-records.json')
        return values and len(values['_task'])

    bench.asked()
    wait_for(lambda: saved() == 1)
    bench.asked()
    bench.to(START + 5)
    assert saved() == 1, 'not at every run'
    bench.to(START + runner.SAVE_INTERVAL)
    wait_for(lambda: saved() == 2)


def test_a_full_disk_stops_no_task(bench, monkeypatch, caplog):
    def full(path, value):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(files, 'write_json', full)
    bench.option('periodic_workers', 1)
    bench.start()
    for later in (0, 10, 20, 30):
        bench.to(START + later)
        assert bench.asked().outcome == 'ok'
    wait_for(lambda: 'No space left' in caplog.text)
    assert caplog.text.count('No space left') == 1
    monkeypatch.undo()


def test_stop_waits_for_what_is_under_way(bench):
    bench.start()
    bench.go_on.clear()
    future = bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    left = []
    stopper = threading.Thread(
        target=lambda: left.append(bench.running.stop()))
    stopper.start()
    wait_for(lambda: not bench.running._running)
    assert not left
    bench.go_on.set()
    stopper.join(60)
    assert left == [[]]
    assert future.result(60).outcome == 'ok'
    assert len(bench.running.history('_task')) == 1


def test_stop_names_what_did_not_end_in_time(bench):
    bench.start()
    bench.go_on.clear()
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    began = time.monotonic()
    assert bench.running.stop(0.05) == ['_task']
    assert time.monotonic() - began < 5


def test_stop_cancels_what_was_asked_for_and_has_not_begun(bench):
    bench.start()
    bench.go_on.clear()
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    waiting = bench.running.trigger('_task')
    bench.running.stop(0)
    assert waiting.cancelled()
    bench.go_on.set()
    assert bench.running.stop(10) == []
    assert len(bench.begun) == 1
    assert bench.running.trigger('_task').cancelled()


def test_a_run_that_waits_for_a_thread_does_not_begin_after_the_stop(bench):
    ran = threading.Event()
    bench.option('periodic_workers', 1)
    bench.start(_other=periodic.periodic_task(spacing=50)(
        lambda manager, context: ran.set()))
    bench.go_on.clear()
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    bench.to_next_slot('_other')
    bench.running.stop(0)
    bench.go_on.set()
    wait_for(lambda: not periodic_threads())
    assert not ran.is_set()


def test_nothing_runs_after_the_stop_and_no_thread_is_left(bench):
    bench.start()
    bench.running.stop(10)
    bench.to(START + 10_000)
    wait_for(lambda: not [thread for thread in threading.enumerate()
                          if thread.name.startswith('periodic')])
    assert not bench.begun


def test_a_run_asked_for_before_the_start_is_cancelled(bench):
    bench.build()
    assert bench.running.trigger('_task').cancelled()
    assert bench.running.stop() == []


def test_the_scheduler_outlives_a_fault(bench, monkeypatch, caplog):
    faults = iter([RuntimeError("can't start new thread")])

    def add(workers):
        for fault in faults:
            raise fault
        return plain(workers)

    bench.option('periodic_workers', 1)
    bench.start()
    plain = workers.Workers.add
    monkeypatch.setattr(workers.Workers, 'add', add)
    monkeypatch.setattr(runner, 'PAUSE_AFTER_FAULT', 0)
    bench.go_on.clear()
    bench.running.trigger('_task')
    wait_for(lambda: bench.begun)
    with caplog.at_level(logging.ERROR):
        bench.to(START + 600)
        wait_for(lambda: 'An error in the scheduler' in caplog.text)
    bench.go_on.set()
    wait_for(lambda: bench.described()['runs'] == 1)
    bench.to_next_run()


# -- managers written for oslo.service

def test_a_manager_of_oslo_service_runs_unchanged(bench):
    """... and better: its slow task holds up no other, its subclass runs
    what it says.
    """
    ran = []

    class Base(foreign.PeriodicTasks):
        host = 'host-1'

        @foreign.periodic_task(spacing=1000, run_immediately=True)
        def _slow(self, context):
            ran.append(context)
            assert bench.go_on.wait(60)

        @foreign.periodic_task(spacing=1000, run_immediately=True)
        def _quick(self, context):
            ran.append('base')

    class Nova(Base):
        def _quick(self, context):
            ran.append(self)

    bench.go_on.clear()
    nova = Nova(bench.conf)
    bench.running = runner.Runner(
        bench.conf, nova, bench.new_context, str(bench.folder), bench.clock)
    bench.running.start()
    wait_for(lambda: len(ran) == 2)
    assert nova in ran
    assert 'base' not in ran
    assert bench.described('_slow')['running_since'] is not None
    record = bench.running.trigger('_quick').result(60)
    assert record.outcome == 'ok'
    bench.go_on.set()
    wait_for(lambda: bench.described('_slow')['last'])
    assert {task['last']['outcome'] for task in bench.running.describe()} == {
        'ok'}


def test_tasks_can_be_given_in_place_of_those_of_the_manager(bench):
    bench.conf.set_override('sync_power_state_interval', 50, 'tasks')
    task = periodic.periodic_task(spacing='sync_power_state_interval')(
        lambda manager, context: bench.begun.append(manager))
    manager = Manager()
    bench.running = runner.Runner(
        bench.conf, manager, bench.new_context, str(bench.folder),
        bench.clock, tasks={'_given': task})
    bench.running.start()
    assert bench.running.trigger('_given').result(60).task == '_given'
    assert bench.begun == [manager]
