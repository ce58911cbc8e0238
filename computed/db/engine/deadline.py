"""The deadline until which the work in progress may wait for a server."""

import contextlib
import contextvars
from collections import abc

from computed import clock

TIME_IS_OVER = 'the time for this read is over'

# The moment, in monotonic seconds, at which the read in progress must have
# ended. None: each single wait has its own limit, but their sum has none.
_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar(
    'deadline', default=None)


def time_left() -> float | None:
    """Return the seconds until the deadline, at least 0.

    None means that there is no deadline.
    """
    until = _deadline.get()
    return None if until is None else max(0, until - clock.monotonic())


@contextlib.contextmanager
def within(seconds: float) -> abc.Iterator[None]:
    """Let all waits in the body together last at most ``seconds``."""
    token = _deadline.set(clock.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)
