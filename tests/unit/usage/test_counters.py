"""Every row of the table in which counting goes another way."""

import dataclasses

import pytest

from computed.usage import counters as usage_counters
from computed.usage import increments
from computed.virt import driver

P, C = 1000, 2000       # the periods: previous, current


def row(period=C, bw=(100, 10), ctr=(500, 50), epoch='a', refreshed=7):
    return usage_counters.Row('u', 'm', period, *bw, *ctr, epoch, refreshed)


def taken(ctr_in, ctr_out, epoch='a', at=9, start=C, previous=P):
    return usage_counters.Sample('u', 'm', ctr_in, ctr_out, epoch, at, start,
                            previous)


def counted(current, earlier, sample, launched_since=False):
    """Bytes of the period, in and out, after ``sample``."""
    found = usage_counters.account(current, earlier, sample, launched_since)
    assert (found.uuid, found.mac_address) == ('u', 'm')
    assert found.start_period == sample.start_period
    assert (found.last_ctr_in, found.last_ctr_out, found.last_epoch) == (
        sample.ctr_in, sample.ctr_out, sample.epoch)
    return found.bw_in, found.bw_out


def test_what_was_added_since_the_last_reading_is_added():
    assert counted(row(), None, taken(530, 51)) == (130, 11)


def test_an_idle_interface_stays_as_it_is():
    assert counted(row(), None, taken(500, 50)) == (100, 10)


def test_first_sight_of_an_old_interface_is_where_counting_begins():
    assert counted(None, None, taken(500, 50)) == (0, 0)


def test_first_sight_of_a_new_guest_counts_from_zero():
    assert counted(None, None, taken(500, 50), True) == (500, 50)


def test_a_new_period_begins_at_zero_and_gets_the_bytes_since_the_last():
    assert counted(None, row(P), taken(530, 51)) == (30, 1)


def test_after_more_than_a_period_without_the_agent_counting_begins_anew():
    # Neither of the two rows is there, and the guest is older than both.
    assert counted(None, None, taken(530, 51), False) == (0, 0)


def test_a_restarted_guest_counts_from_zero():
    assert counted(row(), None, taken(30, 3, 'b')) == (130, 13)


def test_a_restart_is_seen_though_the_counters_passed_the_old_ones():
    assert counted(row(), None, taken(600, 60, 'b')) == (700, 70)


@pytest.mark.parametrize('ctr', [(30, 3), (600, 3), (30, 60)])
def test_a_reset_without_an_epoch_is_one_of_both_directions(ctr):
    assert counted(row(), None, taken(*ctr)) == (100 + ctr[0], 10 + ctr[1])


def test_a_reset_at_the_roll_over_counts_from_zero_in_the_new_period():
    assert counted(None, row(P), taken(30, 3, 'b')) == (30, 3)


def test_an_interface_that_is_gone_keeps_its_row():
    # Nothing is accounted without a sample; another interface is another.
    assert row().interface == ('u', 'm')
    other = usage_counters.sample(driver.InterfaceCounters(
        'u', 'eth1', 'N', 1, 1, 1, 1, 'a'), 9, C, P)
    assert other.interface == ('u', 'n')


def test_an_instance_that_moved_here_counts_from_zero_on_its_row():
    assert counted(row(epoch='there'), None, taken(5, 5, 'here')) == (105, 15)


# an old base, as a replica or an old list would give it

def test_an_older_base_gives_the_same_total():
    newer = usage_counters.account(row(), None, taken(530, 51), False)
    assert counted(newer, None, taken(560, 55, at=11)) == (160, 15)
    assert counted(row(), None, taken(560, 55, at=11)) == (160, 15)


def test_without_the_current_row_the_previous_one_gives_the_bytes_since():
    assert counted(None, row(P), taken(560, 55)) == (60, 5)


def test_of_both_rows_the_newer_tells_where_the_counters_were():
    earlier = row(P, ctr=(550, 55), refreshed=8)
    assert counted(row(), earlier, taken(560, 57)) == (110, 12)


# limits

def test_totals_and_counters_end_at_what_a_database_keeps():
    most = increments.MAX_BIGINT
    full = row(bw=(most - 1, 0))
    assert counted(full, None, taken(600, 50)) == (most, 0)
    big = usage_counters.sample(driver.InterfaceCounters(
        'u', 'eth0', 'm', 2 ** 64 - 1, 5, 1, 1, 'a'), 9, C, P)
    assert (big.ctr_in, big.ctr_out) == (most, 5)


def test_a_counter_that_wrapped_is_a_reset():
    before = row(ctr=(increments.MAX_BIGINT, 50))
    assert counted(before, None, taken(7, 60)) == (107, 70)


@pytest.mark.parametrize('changed', [
    {'rx_bytes': -1}, {'tx_bytes': -1}, {'rx_bytes': None},
    {'tx_bytes': None}, {'mac_address': None}, {'mac_address': ''}])
def test_an_interface_without_good_counters_is_left_out(changed):
    good = driver.InterfaceCounters('u', 'eth0', 'm', 1, 1, 1, 1, 'a')
    assert usage_counters.sample(good, 9, C, P) == taken(1, 1)
    assert usage_counters.sample(
        dataclasses.replace(good, **changed), 9, C, P) is None


@pytest.mark.parametrize('at, refreshed', [(9, 9), (7, 8), (3, 8)])
def test_the_moment_of_a_row_rises_whatever_the_clock_does(at, refreshed):
    for rows in ((row(), None), (None, row(P))):
        assert usage_counters.account(
            *rows, taken(600, 60, at=at), False).last_refreshed == refreshed


# what the database must be asked

def test_rows_that_were_written_here_need_not_be_read_again():
    assert not usage_counters.needs_rows({C: row()}, taken(1, 1))
    assert not usage_counters.needs_rows({P: row(P)}, taken(1, 1))


@pytest.mark.parametrize('rows, sample', [
    ({}, taken(1, 1)), (None, taken(1, 1)),
    ({C: row()}, taken(1, 1, 'b')),
    ({C + 5: row(C + 5)}, taken(1, 1))])
def test_what_is_not_known_is_read(rows, sample):
    assert usage_counters.needs_rows(rows, sample)


def test_waiting_samples_are_kept_as_few_as_they_can_be():
    samples = [taken(1, 1), taken(2, 2), taken(3, 3), taken(1, 9),
               taken(5, 9, 'b'), taken(6, 9, 'b'),
               taken(7, 9, 'b', start=C + 5)]
    kept = [samples[number] for number in (2, 3, 5, 6)]
    assert usage_counters.compacted(samples) == kept
    other = dataclasses.replace(taken(9, 9), mac_address='n')
    assert usage_counters.compacted([taken(1, 1), other, taken(2, 2)]) == [
        other, taken(2, 2)]
