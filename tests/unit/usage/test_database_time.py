import pytest

from computed.usage import database_time

START = 1_000_000


@pytest.fixture
def clock():
    class Clock:
        now = 5.0
    return Clock()


@pytest.fixture
def time(clock):
    found = database_time.DatabaseTime(lambda: clock.now, lambda: 77.0)
    assert found.now() == 77.0      # nothing is known yet
    found.learn(START)
    return found


def test_it_counts_on_by_the_monotonic_clock(time, clock):
    clock.now += 30
    assert time.now() == START + 30


@pytest.mark.parametrize('drift', [-60, 0.5, 60])
def test_a_clock_that_drifts_is_followed(time, drift):
    time.learn(START + drift)
    assert time.now() == START + drift


@pytest.mark.parametrize('jump', [-3600, 3600])
def test_a_clock_that_jumps_and_comes_back_is_not_followed(
        time, clock, caplog, jump):
    for reading in (jump, jump, 0, jump, 0):
        time.learn(START + clock.now - 5 + reading)
        clock.now += 599
        assert time.now() == START + clock.now - 5
    assert caplog.text.count('has jumped by') == 2


def test_a_clock_that_was_set_is_followed_once_it_stays(time, clock):
    for _ in range(11):
        assert time.now() == START + clock.now - 5
        time.learn(START + 3600 + clock.now - 5)
        clock.now += 60
    assert time.now() == START + 3600 + clock.now - 5


def test_readings_that_agree_on_nothing_are_not_followed(time, clock):
    for number in range(1, 30):
        time.learn(START + number * 3600)
        clock.now += 60
        assert time.now() == START + clock.now - 5
