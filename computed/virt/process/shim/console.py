"""Keep what a guest prints: within a bound, and without holding the guest up.

The guest writes to a pipe. One thread always reads it; another writes to
``console.log``, which becomes ``console.log.1`` when it is half as large as
the bound. What the disk does not take in time is dropped and counted. So the
guest waits for no disk, gets no SIGPIPE, and needs no daemon.
"""

import array
import collections
import contextlib
import fcntl
import json
import os
import termios
import threading
import time
from collections import abc

from . import system

# Bytes of one read: what a pipe holds.
_CHUNK = 1 << 16
# Seconds between two reads. A guest that prints without end gets as much of
# a processor for its output as this leaves, and 64 MiB a second.
_PAUSE = 0.001
# Bytes that wait for a slow disk before others are dropped.
_WAITING = 1 << 20
# Seconds that the end of a guest waits for its last output.
_LAST = 0.5


class Console:
    """The console of one guest.

    Make it before the main process is forked, and start it after that: a
    process with threads must not fork.
    """

    def __init__(self, folder: str, limit: int, uid: int | None) -> None:
        """Make the pipe.

        :param limit: bytes of both files together
        :param uid: owner of the pipe, so that the guest can open it again as
            ``/dev/stdout``; None: we are the owner
        """
        self._output, self._input = os.pipe()
        if uid is not None:
            os.fchown(self._input, uid, uid)
        self._file = _Files(f'{folder}/console.log', max(limit // 2, 1))
        self._count = f'{folder}/exit.json.tmp'
        self._changed = threading.Condition()
        self._chunks: collections.deque[bytes] = collections.deque()
        self._size = 0
        self._dropped = 0
        # How many of these the console tells of.
        self._told = 0
        self._busy = False
        # Held while the count is written, and for ever after the end.
        self._telling = threading.Lock()

    def be_output(self) -> None:
        """Print to this console from now on; for the main process."""
        for target in (1, 2):
            os.dup2(self._input, target)    # the guest inherits the copy

    def start(self) -> None:
        """Begin to read. The main process has the only other end."""
        os.close(self._input)
        for target in (self._read, self._write):
            threading.Thread(target=target, daemon=True).start()

    def finish(self) -> int:
        """Wait for the last output; return how many bytes were dropped.

        Those are left out that the console tells of.
        Other processes of the guest may still print, and the disk may hang:
        this ends after a second.
        """
        _wait(lambda: not _readable(self._output))
        _wait(lambda: not self._chunks and not self._busy)
        self._telling.acquire(timeout=_LAST)
        return self._dropped - self._told

    def _read(self) -> None:
        while data := os.read(self._output, _CHUNK):
            with self._changed:
                if self._size + len(data) > _WAITING:
                    self._dropped += len(data)
                else:
                    self._chunks.append(data)
                    self._size += len(data)
                self._changed.notify()
            time.sleep(_PAUSE)

    def _write(self) -> None:
        shown = 0
        while True:
            with self._changed:
                while not self._chunks:
                    self._busy = False
                    self._changed.wait()
                self._busy = True
                data = b''.join(self._chunks)
                self._chunks.clear()
                self._size = 0
            if (dropped := self._dropped) > self._told:
                note = _note(dropped - self._told)
                if self._file.append(note) == len(note):
                    self._told = dropped
            lost = len(data) - self._file.append(data)
            with self._changed:
                self._dropped += lost
            if self._dropped - self._told != shown:
                shown = self._dropped - self._told
                self._tell(shown)

    def _tell(self, dropped: int) -> None:
        """Tell the daemon what is dropped and not noted in the console.

        The file exists, and its room is that of the record of the exit.
        """
        if self._telling.acquire(blocking=False):
            with contextlib.suppress(OSError):
                system.overwrite(self._count, json.dumps(
                    {'dropped': dropped}).encode())
            self._telling.release()


class _Files:
    """``console.log`` and the one before it."""

    def __init__(self, path: str, limit: int) -> None:
        """:param limit: bytes of each"""
        self._path = path
        self._limit = limit
        self._descriptor = -1

    def append(self, data: bytes) -> int:
        """Append as much as possible; return how many bytes that is."""
        done = 0
        try:
            while done < len(data):
                room = self._limit - self._opened()
                if room <= 0:
                    self._turn()
                    continue
                done += os.write(self._descriptor, data[done:done + room])
        except OSError:
            # Perhaps there is room again next time.
            pass
        return done

    def _opened(self) -> int:
        """Open the file if it is not open; return its size."""
        if self._descriptor < 0:
            self._descriptor = os.open(
                self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND
                | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        return os.fstat(self._descriptor).st_size

    def _turn(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        os.rename(self._path, f'{self._path}.1')


def _note(dropped: int) -> bytes:
    return b'\n[%d bytes of output were dropped here]\n' % dropped


def _readable(descriptor: int) -> int:
    """Return how many bytes are in a pipe."""
    found = array.array('i', [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, found)
    return found[0]


def _wait(condition: abc.Callable[[], object]) -> None:
    deadline = time.monotonic() + _LAST
    while not condition() and time.monotonic() < deadline:
        time.sleep(_PAUSE)
