import pytest

from computed import clock
from computed import metrics


@pytest.fixture
def registry():
    """A registry of metrics that only this test counts in."""
    found = metrics.Registry()
    former = metrics.use(found)
    yield found
    metrics.use(former)


class Minutes(clock.System):
    """A clock that stands until a test moves it."""

    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def minutes():
    """The clock of the code that limits its lines to one a minute."""
    made = Minutes()
    clock.use(made)
    yield made
    clock.use(clock.System())
