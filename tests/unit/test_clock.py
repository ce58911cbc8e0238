"""One source of time, which a test can own."""

import time
import types

import pytest

from computed import clock


@pytest.fixture
def standing():
    clock.use(types.SimpleNamespace(monotonic=lambda: 7.0,
                                    time=lambda: 1_000_000.0))
    yield
    clock.use(time)


def test_by_default_it_is_the_time_of_the_system():
    before = time.monotonic(), time.time()
    found = clock.monotonic(), clock.time()
    assert before[0] <= found[0] <= time.monotonic()
    assert before[1] <= found[1] <= time.time()


def test_a_test_owns_the_time(standing):
    assert (clock.monotonic(), clock.time()) == (7.0, 1_000_000.0)
