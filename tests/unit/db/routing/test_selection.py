import random

import pytest

from computed import chance
from computed.db.routing import selection

C = selection.Candidate


@pytest.fixture(autouse=True)
def own_chance(monkeypatch):
    """What :func:`order` seeds is the chance of these tests only."""
    monkeypatch.setattr(chance, '_source', random.Random())


def order(*candidates, bound=10, seed=1):
    chance.seed(seed)
    return selection.order(candidates, bound, 10)


def test_only_usable_replicas_within_the_bound_are_tried():
    assert order(C('old', True, 10.1), C('out', False, 1.0),
                 C('fit', True, 9.9)) == ['fit']


def test_a_replica_out_of_use_for_its_age_serves_greater_bounds():
    lagging = C('r', False, 20, lagging=True)
    assert order(lagging, bound=60) == ['r']
    assert order(C('r', False, 5, lagging=True), bound=10) == []
    assert order(lagging, bound=15) == []


def test_of_two_that_hardly_differ_either_may_be_first():
    first = {order(C('a', True, 1, latency=0.1),
                   C('b', True, 1, latency=0.15), seed=seed)[0]
             for seed in range(20)}
    assert first == {'a', 'b'}


def test_of_two_the_clearly_quicker_is_first():
    for seed in range(20):
        assert order(C('slow', True, 1, latency=0.2),
                     C('quick', True, 1, latency=0.1),
                     seed=seed) == ['quick', 'slow']


def test_every_fit_replica_is_a_fallback():
    found = order(*(C(f'r{n}', True, 1) for n in range(5)))
    assert sorted(found) == ['r0', 'r1', 'r2', 'r3', 'r4']


def test_a_replica_that_just_came_back_is_tried_last():
    for seed in range(20):
        assert order(C('back', True, 1, share=0.0, latency=0.0),
                     C('old', True, 1, latency=9), seed=seed) == [
                         'old', 'back']


def test_reads_are_spread():
    first = {order(*(C(f'r{n}', True, 1) for n in range(3)), seed=seed)[0]
             for seed in range(50)}
    assert first == {'r0', 'r1', 'r2'}


def test_without_replicas_the_reason_is_their_absence():
    assert selection.why_none({}, 10, 1, 1) == 'no_replica'


def test_a_bound_that_cannot_be_proven_means_the_primary():
    assert selection.why_none({'r': 1}, 1.5, 1, 1) == 'bound_too_small'
    assert selection.why_none({'r': 1}, 2, 1, 1) is None
