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


def test_one_that_a_replica_shows_is_not_forgotten():
    """If the primary takes none for long, it alone tells the age."""
    heartbeats = lag.Heartbeats(keep=2)
    for now in range(10):
        heartbeats.next(now, {1, None})
    assert heartbeats.age(1, 10) == 10
    assert heartbeats.age(9, 10) == float('inf')


def test_a_bound_below_both_intervals_cannot_be_proven():
    assert not lag.provable(1.9, heartbeat_interval=1, probe_interval=1)
    assert lag.provable(2, heartbeat_interval=1, probe_interval=1)


def answers(heartbeats, clocks, slack=2.0):
    """Ask two servers, each of which answers after 0.1 s.

    :param clocks: this machine's clock and those of the two, for each time
    :returns: whether each time showed that this machine had stood still
    """
    found = []
    for here, *there in clocks:
        heartbeats.next(here)
        told = [heartbeats.witness(f'node {number}', here, shown, here + 0.1,
                                   slack)
                for number, shown in enumerate(there)]
        found.append(any(told))
    return found


def test_a_machine_that_was_paused_forgets_what_it_measured():
    heartbeats = lag.Heartbeats()
    assert answers(heartbeats, [
        (10, 1010, 510), (11, 1011, 511), (12, 1042, 542)]) == [
        False, False, True]
    for number in (1, 2, 3):
        assert heartbeats.age(number, 12.1) == math.inf
    assert answers(heartbeats, [
        (13, 1043, 543), (14, 1044, 544)]) == [False, False]
    assert heartbeats.age(5, 14.1) > 0


def test_many_short_pauses_add_up():
    found = answers(lag.Heartbeats(), [
        (now, 1.5 * now, 1.5 * now) for now in range(9)])
    assert found.index(True) == 5


def test_one_clock_that_is_set_forgets_nothing():
    heartbeats = lag.Heartbeats()
    assert not any(answers(heartbeats, [
        (10, 1010, 510), (11, 4611, 511), (12, 12, 512), (13, 1013, 513)]))
    assert heartbeats.age(1, 13) == 3


def test_a_slow_answer_is_no_pause():
    heartbeats = lag.Heartbeats()
    heartbeats.next(10)
    for node in 'ab':
        heartbeats.witness(node, 10, 1010, 10.1, 2)
        assert not heartbeats.witness(node, 11, 1040, 40.1, 2)
    assert heartbeats.age(1, 41) == 31
