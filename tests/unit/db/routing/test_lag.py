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
