import pytest

from computed import clock
from computed.db.engine import deadline


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now


@pytest.fixture
def time():
    mine = Clock()
    before = clock._source
    clock.use(mine)
    yield mine
    clock.use(before)


def test_there_is_no_deadline_unless_one_is_set(time):
    assert deadline.time_left() is None


def test_the_time_left_shrinks_and_is_never_negative(time):
    with deadline.within(3):
        assert deadline.time_left() == 3
        time.now += 2
        assert deadline.time_left() == 1
        time.now += 2
        assert deadline.time_left() == 0
    assert deadline.time_left() is None


def test_an_inner_deadline_ends_with_its_body(time):
    with deadline.within(3):
        with deadline.within(1):
            assert deadline.time_left() == 1
        assert deadline.time_left() == 3
