"""Writing that never holds up who writes.

What reads a log may stall, and a terminal may be closed. So a thread of its
own writes to each file or stream. What it cannot write waits; if too much
waits, more is dropped and counted.
"""

import atexit
import collections
import contextlib
import os
import sys
import threading
import typing
from collections import abc

from computed import concurrency

# How many pieces wait at most.
LIMIT = 10_000
# Seconds that the end of the process waits for what is not written yet.
LAST = 1.0
# The same, before something is printed that belongs behind it.
_BEFORE = 0.2
_PAUSE = 0.005

_outlets: list['Outlet'] = []
_of: list[tuple[object, 'Outlet']] = []
_lock = threading.Lock()


class Outlet:
    """Calls functions that write, one after the other, in its own thread.

    :ivar dropped: how many it could not take, since its start
    :ivar say_dropped: called in that thread with how many were dropped, once
        there is room again
    """

    def __init__(self, name: str) -> None:
        """:param name: the name of the thread"""
        self.dropped = 0
        self.say_dropped: abc.Callable[[int], object] | None = None
        self._said = 0
        self._waiting: collections.deque[abc.Callable[[], object]] = (
            collections.deque())
        # Native: under eventlet, one file that blocks would block all.
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        _outlets.append(self)
        concurrency.native_thread(name, self._run).start()

    def put(self, write: abc.Callable[[], object]) -> bool:
        """Call ``write`` soon; what it raises is dropped.

        :returns: False: too much waits, so it is not called
        """
        if len(self._waiting) >= LIMIT:
            self.dropped += 1
            return False
        self._waiting.append(write)
        os.eventfd_write(self._wake, 1)
        return True

    def is_empty(self) -> bool:
        """Return whether everything was written."""
        return not self._waiting

    def _run(self) -> None:
        while True:
            # Not eventfd_read(), which a signal interrupts.
            os.read(self._wake, 8)
            while self._waiting:
                # Nobody is left who could be told of a failure.
                with contextlib.suppress(Exception):
                    self._waiting[0]()
                self._waiting.popleft()
            dropped = self.dropped
            if dropped > self._said and self.say_dropped is not None:
                with contextlib.suppress(Exception):
                    self.say_dropped(dropped - self._said)
            self._said = dropped


def drain(seconds: float = LAST) -> None:
    """Wait until everything is written, but not longer than ``seconds``."""
    pause = threading.Event()
    for _ in range(int(seconds / _PAUSE)):
        if all(outlet.is_empty() for outlet in _outlets):
            return
        pause.wait(_PAUSE)


atexit.register(drain)


def of(stream: object) -> Outlet:
    """Return the outlet of a stream: two threads must not write to one."""
    with _lock:
        for known, outlet in _of:
            if known is stream:
                return outlet
        outlet = Outlet(f'write to {getattr(stream, "name", "a stream")}')
        _of.append((stream, outlet))
        return outlet


def to_stdout(text: str) -> None:
    """Print ``text`` for the person at the terminal, if there is one.

    What was logged before is printed before, unless its reader has stalled.
    """
    drain(_BEFORE)
    _print(sys.stdout, text)


def to_stderr(text: str) -> None:
    """Print ``text`` to standard error as :func:`to_stdout` does."""
    _print(sys.stderr, text)


def _print(stream: typing.TextIO, text: str) -> None:
    of(stream).put(writing(stream, text))


def writing(stream: typing.TextIO, text: str) -> abc.Callable[[], None]:
    """Return what writes a line to ``stream``, for its outlet."""
    kind = stream.encoding or 'utf-8'
    text = text.encode(kind, 'backslashreplace').decode(kind)

    def write() -> None:
        stream.write(text + '\n')
        stream.flush()
    return write
