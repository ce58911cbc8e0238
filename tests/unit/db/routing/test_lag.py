import math

from computed.db.routing import lag


def test_age_counts_from_the_sending_of_the_newest_beat_seen():
    beats = lag.Beats()
    for now in (10.0, 11.0, 12.0):
        beats.next(now)
    assert beats.age(seen=2, now=12.5) == 1.5


def test_a_node_that_shows_the_newest_beat_is_not_of_age_zero():
    beats = lag.Beats()
    newest = beats.next(10.0)
    assert beats.age(newest, now=10.7) > 0.69


def test_a_beat_never_sent_proves_nothing():
    beats = lag.Beats()
    beats.next(10.0)
    assert beats.age(None, 10.0) == math.inf
    assert beats.age(7, 10.0) == math.inf


def test_a_beat_long_forgotten_proves_nothing():
    beats = lag.Beats(keep=2)
    for now in range(4):
        beats.next(now)
    assert beats.age(1, 5) == math.inf
    assert beats.age(3, 5) == 3


def test_a_bound_below_both_intervals_cannot_be_proven():
    assert not lag.provable(1.9, beat_interval=1, probe_interval=1)
    assert lag.provable(2, beat_interval=1, probe_interval=1)
