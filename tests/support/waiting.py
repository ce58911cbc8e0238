"""Wait for a condition, never for a time."""

import contextlib
import os
import time

# A deadline says what an idle machine needs at most. A busy one gets so
# many times as long: it is slow, and that proves nothing.
PATIENCE = float(os.environ.get('COMPUTED_TESTS_PATIENCE', '6'))


def wait_for(condition, seconds=10, what=None):
    """Return the first true value of ``condition()``.

    It is asked often at first, then after every twentieth of the time that
    has passed, at least twenty times a second.

    :param seconds: how long it may take on an idle machine
    :raises AssertionError: it stayed false for ``PATIENCE * seconds``
    """
    began = time.monotonic()
    while True:
        if value := condition():
            return value
        waited = time.monotonic() - began
        if waited > seconds * PATIENCE:
            raise AssertionError(f'not within {waited:.0f} s: '
                                 f'{what or condition}')
        time.sleep(min(max(waited / 20, 0.005), 0.05))


@contextlib.contextmanager
def at_most(seconds):
    """Check that a block keeps a promise not to hold its caller for longer.

    :param seconds: more than a busy machine needs, and less than the block
        takes without the promise
    """
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds
