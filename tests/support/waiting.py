"""Wait for a condition, never for a time."""

import time


def wait_for(condition, seconds=10, what=None):
    """Return the first true value of ``condition()``.

    :raises AssertionError: it stayed false for ``seconds``
    """
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {seconds} s: '
                                 f'{what or condition}')
        time.sleep(0.02)
