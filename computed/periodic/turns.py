"""A thread that takes turns, one after the other, until it is stopped."""

import abc
import threading

from computed import clock
from computed import concurrency


class Turns(abc.ABC):
    """The base of such a thread."""

    def __init__(self, name: str, first: float = 0.0) -> None:
        """:param first: the seconds to wait before the first turn"""
        self._first = first
        self._stopping = threading.Event()
        self._thread: concurrency.Thread = concurrency.thread(
            name, self._run)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that hangs on a dead server is left."""
        self._stopping.set()
        self._thread.join(timeout=1)

    @abc.abstractmethod
    def turn(self) -> float:
        """Take a turn; return the seconds to wait until the next one."""

    def _run(self) -> None:
        self._wait(clock.monotonic() + self._first)
        while not self._stopping.is_set():
            self._wait(clock.monotonic() + self.turn())

    def _wait(self, until: float) -> None:
        # The wait may use a coarser clock, and must not end early.
        while (left := until - clock.monotonic()) > 0:
            if self._stopping.wait(left):
                return
