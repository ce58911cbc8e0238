"""The only module that asks the system for the time.

All other modules call these functions, so that a test can own the time of
the whole process. The lint step forbids the functions of ``time``.
"""

import time as system_time
import typing


class Source(typing.Protocol):
    """An object that tells the time: the module ``time``, or a test's own."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...


_source: Source = system_time


def use(source: Source) -> None:
    """Ask ``source`` for the time from now on; for tests."""
    global _source
    _source = source


def monotonic() -> float:
    """Return the seconds since an arbitrary moment; they never go back."""
    return _source.monotonic()


def time() -> float:
    """Return the seconds since 1970; they jump when the clock is set."""
    return _source.time()


def boottime() -> float:
    """Return the seconds since this machine started; they never go back.

    Unlike :func:`monotonic` it goes on while the machine is suspended. All
    processes of a machine see the same value.
    """
    if _source is system_time:
        return system_time.clock_gettime(system_time.CLOCK_BOOTTIME)
    return _source.monotonic()
