"""One source of chance, which a test can repeat."""

import random
import uuid

import pytest

from computed import chance


@pytest.fixture(autouse=True)
def restored():
    former = chance._source
    yield
    chance._source = former


def draw():
    values = list(range(20))
    chance.shuffle(values)
    return (chance.uuid(), chance.fraction(), chance.choice('abcdefgh'),
            values)


def test_the_same_seed_draws_the_same():
    chance.seed(7)
    first = draw()
    chance.seed(7)
    assert draw() == first
    chance.seed(8)
    assert draw() != first


def test_without_a_seed_the_system_draws():
    assert isinstance(chance._source, random.SystemRandom)
    assert len({chance.uuid() for _ in range(100)}) == 100


def test_what_is_drawn_is_what_is_promised():
    found, fraction, choice, values = draw()
    assert uuid.UUID(found).version == 4
    assert 0 <= fraction < 1
    assert choice in 'abcdefgh'
    assert sorted(values) == list(range(20))
