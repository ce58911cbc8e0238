"""The only module that asks the system for the time.

Everybody else calls these functions, so that a test can own the time of the
whole process. A rule of the lint step forbids the functions of ``time``.
"""

import time as system_time
import typing


class Source(typing.Protocol):
    """What tells the time: the module ``time``, or a test's object."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...


_source: Source = system_time


def use(source: Source) -> None:
    """Ask ``source`` for the time from now on; for tests."""
    global _source
    _source = source


def monotonic() -> float:
    """Seconds since an arbitrary moment; they never go back."""
    return _source.monotonic()


def time() -> float:
    """Seconds since 1970; they jump when somebody sets the clock."""
    return _source.time()
