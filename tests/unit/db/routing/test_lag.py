import math

from computed.db.routing import lag


def test_age_counts_from_the_sending_of_the_newest_heartbeat_seen():
    heartbeats = lag.Heartbeats()
    for now in (10.0, 11.0, 12.0):
        heartbeats.next(now)
    assert heartbeats.age(seen=2, now=12.5) == 1.5


def test_a_node_that_shows_the_newest_heartbeat_is_not_of_age_zero():
    heartbeats = lag.Heartbeats()
    newest = heartbeats.next(10.0)
    assert heartbeats.age(newest, now=10.7) > 0.69


def test_a_heartbeat_never_sent_proves_nothing():
    heartbeats = lag.Heartbeats()
    heartbeats.next(10.0)
    assert heartbeats.age(None, 10.0) == math.inf
    assert heartbeats.age(7, 10.0) == math.inf


def test_a_heartbeat_long_forgotten_proves_nothing():
    heartbeats = lag.Heartbeats(keep=2)
    for now in range(4):
        heartbeats.next(now)
    assert heartbeats.age(1, 5) == math.inf
    assert heartbeats.age(3, 5) == 3


def test_a_bound_below_both_intervals_cannot_be_proven():
    assert not lag.provable(1.9, heartbeat_interval=1, probe_interval=1)
    assert lag.provable(2, heartbeat_interval=1, probe_interval=1)


def beats(heartbeats, clocks, slack=2.0):
    """Send heartbeats, each answered after 0.1 s.

    :param clocks: this machine's clock and the primary's, for each of them
    :returns: whether each showed that this machine had stood still
    """
    found = []
    for here, there in clocks:
        number = heartbeats.next(here)
        found.append(heartbeats.stood_still(
            number, there, here + 0.1, slack))
    return found


def test_a_machine_that_was_paused_forgets_what_it_measured():
    heartbeats = lag.Heartbeats()
    assert beats(heartbeats, [(10, 1010), (11, 1011), (12, 1042)]) == [
        False, False, True]
    for number in (1, 2, 3):
        assert heartbeats.age(number, 12.1) == math.inf
    assert beats(heartbeats, [(13, 1043), (14, 1044)]) == [False, False]
    assert heartbeats.age(5, 14.1) > 0


def test_many_short_pauses_add_up():
    heartbeats = lag.Heartbeats()
    found = beats(heartbeats, [(now, 1.5 * now) for now in range(9)])
    assert found.index(True) == 5


def test_a_slow_answer_is_no_pause():
    heartbeats = lag.Heartbeats()
    number = heartbeats.next(10)
    heartbeats.stood_still(number, 1010, 10.1, 2)
    number = heartbeats.next(11)
    assert not heartbeats.stood_still(number, 1040, 40.1, 2)
    assert heartbeats.age(number, 41) == 30


def test_a_clock_of_the_primary_that_goes_back_forgets_nothing():
    assert not any(beats(lag.Heartbeats(), [
        (10, 1010), (11, 11), (12, 12), (13, 13)]))
