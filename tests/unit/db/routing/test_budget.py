import contextlib

import pytest

from computed.db.routing import budget


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def waits(spent, times):
    found = []
    for _ in range(times):
        with spent.spend() as wait:
            found.append(wait)
    return found


def test_one_second_of_reads_is_in_the_bucket(clock):
    spent = budget.Budget(lambda: 3, lambda: 8, clock)
    found = waits(spent, 4)
    assert found[:3] == [0, 0, 0]
    assert found[3] == pytest.approx(1 / 3)


def test_the_bucket_fills_with_time_and_not_beyond_a_second(clock):
    spent = budget.Budget(lambda: 2, lambda: 8, clock)
    waits(spent, 2)
    clock.now = 100.0
    assert [bool(wait) for wait in waits(spent, 3)] == [False, False, True]


def test_no_more_than_the_limit_run_side_by_side(clock):
    spent = budget.Budget(lambda: 100, lambda: 2, clock)
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(spent.spend()) for _ in range(3)]
    assert [bool(wait) for wait in running] == [False, False, True]
    assert waits(spent, 1) == [0]


def test_a_read_that_fails_gives_its_place_back(clock):
    spent = budget.Budget(lambda: 100, lambda: 1, clock)
    with pytest.raises(ValueError), spent.spend():
        raise ValueError
    assert waits(spent, 1) == [0]


def test_a_rate_of_zero_lets_nothing_through(clock):
    rate = 0.0
    spent = budget.Budget(lambda: rate, lambda: 8, clock)
    assert waits(spent, 1)[0] > 0
    clock.now = 1000.0
    assert waits(spent, 1)[0] > 0
    # It is raised, and set to 0 again, by a reload.
    rate = 2.0
    clock.now = 1001.0
    assert waits(spent, 1) == [0]
    rate = 0.0
    assert waits(spent, 1)[0] > 0


def test_conductors_share_it(clock):
    spent = budget.Budget(lambda: 4, lambda: 8, clock)
    spent.conductors = 2
    waits(spent, 4)
    clock.now = 1.0
    assert [bool(wait) for wait in waits(spent, 3)] == [False, False, True]


def test_each_conductor_may_read_one_at_a_time(clock):
    spent = budget.Budget(lambda: 1000, lambda: 8, clock)
    spent.conductors = 20
    with spent.spend() as first, spent.spend() as second:
        assert not first
        assert second
