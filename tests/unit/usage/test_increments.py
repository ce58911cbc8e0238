"""What counters of any number have counted since they were read last."""

import pytest

from computed.usage import increments

LAST = increments.Reading((100, 50, 7), 'a')


@pytest.mark.parametrize('values, epoch, more', [
    ((100, 50, 7), 'a', (0, 0, 0)),
    ((130, 50, 9), 'a', (30, 0, 2)),
    ((130, 49, 9), 'a', (130, 49, 9)),      # one fell: all were reset
    ((130, 60, 9), 'b', (130, 60, 9)),      # reset, and all passed already
])
def test_all_counters_are_reset_together(values, epoch, more):
    taken = increments.Reading(values, epoch)
    assert increments.since(LAST, taken, from_zero=False) == more


@pytest.mark.parametrize('from_zero, more', [
    (True, (5, 6)), (False, (0, 0))])
def test_what_was_never_read_is_new_or_unknown(from_zero, more):
    taken = increments.Reading((5, 6), 'a')
    assert increments.since(None, taken, from_zero) == more


@pytest.mark.parametrize('values', [(1, None), (1, -1)])
def test_one_unusable_counter_spoils_the_reading(values):
    assert increments.usable(values) is None


def test_a_counter_and_a_sum_end_at_what_a_database_keeps():
    most = increments.MAX_BIGINT
    assert increments.usable((2 ** 64 - 1, 3)) == (most, 3)
    assert increments.total(most, 1) == most
