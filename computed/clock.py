"""The only module that asks the system for the time.

All other modules call these functions, so that a test can own the time of
the whole process. The lint step forbids the functions of ``time``.
"""

import time as system_time
import typing


class Source(typing.Protocol):
    """An object that tells the time: that of the system, or a test's own."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...


class System:
    """The clocks of the kernel."""

    def monotonic(self) -> float:
        """Return the seconds since the machine booted.

        CLOCK_MONOTONIC stands still while the machine is suspended: what was
        read before would seem younger than it is.
        """
        return system_time.clock_gettime(system_time.CLOCK_BOOTTIME)

    def time(self) -> float:
        """Return the seconds since 1970."""
        return system_time.time()


_source: Source = System()


def use(source: Source) -> None:
    """Ask ``source`` for the time from now on; for tests."""
    global _source
    _source = source


def monotonic() -> float:
    """Return the seconds since the machine booted; they never go back.

    They also count while the machine is suspended. All processes of a machine
    see the same value.
    """
    return _source.monotonic()


def time() -> float:
    """Return the seconds since 1970; they jump when the clock is set."""
    return _source.time()
