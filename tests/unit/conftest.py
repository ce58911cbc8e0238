import pytest

from computed import metrics


@pytest.fixture
def registry():
    """A registry of metrics that only this test counts in."""
    found = metrics.Registry()
    former = metrics.use(found)
    yield found
    metrics.use(former)
