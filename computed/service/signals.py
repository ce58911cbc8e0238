"""Signals of this process, noted for the main loop.

A signal that comes again before the main loop has looked is noted once. So a
flood of them delays nothing, and the main loop decides which comes first.
"""

import collections
import contextlib
import os
import select
import signal
import types
from collections import abc

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1,
           signal.SIGUSR2)
# Those that would end a program which does not handle them yet.
_HARMLESS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# Read from the pipe at once: as much as it can hold.
_ALL = 1 << 16


def hold_back() -> None:
    """Let signals but SIGTERM and SIGINT wait from now on.

    Every program begins with this, because its imports take a second. Then a
    service calls :func:`survive`, and a command :func:`let_through`.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HARMLESS)


def let_through() -> None:
    """Let what waits, and what comes later, do what it does to a command."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HARMLESS)


def survive() -> None:
    """Let no signal but SIGTERM and SIGINT end this process from now on.

    What comes until the main loop listens waits for it. Do not ignore them:
    what is ignored stays so in each guest.
    """
    global _kept_by_nohup
    _kept_by_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    for number in _HARMLESS:
        signal.signal(number, lambda *_: None)


@contextlib.contextmanager
def held_back() -> abc.Iterator[None]:
    """Let a program that the body starts get these signals later.

    It needs a second until it handles them. Until then they wait.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HARMLESS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_kept_by_nohup = False


class Inbox:
    """The signals that the main loop has not looked at yet.

    It is made in the main thread, and only that thread waits.

    :ivar has_terminal: a terminal controls this process. It may be closed.
    """

    def __init__(self) -> None:
        self._noted: collections.Counter[int] = collections.Counter()
        self._taken: collections.Counter[int] = collections.Counter()
        # The kernel may give a signal to a thread other than the main one,
        # so only a byte in this pipe ends the wait of the main thread. If
        # the pipe is full, the wait ends without another byte.
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        # Python runs the handler of a signal after its byte was written,
        # and the main thread may have read the byte before. So the handler
        # ends the wait, too.
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._has_terminal = not _kept_by_nohup and _terminal_answers()

    def listen(self) -> None:
        """Note signals from now on."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HARMLESS)

    def _note(self, number: int, frame: types.FrameType | None) -> None:
        self._noted[number] += 1
        self.wake()

    def wake(self) -> None:
        """End the present wait, or the next one; any thread may call it."""
        os.eventfd_write(self._wake, 1)

    def wait(self) -> None:
        """Wait for a signal or for :meth:`wake`."""
        ready, _, _ = select.select([self._reader, self._wake], [], [])
        if self._reader in ready:
            os.read(self._reader, _ALL)
        if self._wake in ready:
            os.eventfd_read(self._wake)

    def take(self, *numbers: int) -> bool:
        """Return whether one of the signals came since it was last taken."""
        came = False
        for number in numbers:
            noted = self._noted[number]
            came = came or noted > self._taken[number]
            self._taken[number] = noted
        return came

    def terminal_is_gone(self) -> bool:
        """Return whether the terminal of this process was closed."""
        return self._has_terminal and not _terminal_answers()


def _terminal_answers() -> bool:
    """Return whether a terminal controls this process now."""
    try:
        os.close(os.open('/dev/tty', os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK
                         | os.O_CLOEXEC))
    except OSError:
        return False
    return True
