"""The lock on a state path: one service uses it at a time.

The folder itself is locked. A file in it may be removed while a service runs,
and the next service would lock a new file beside it. The file
``computed.lock`` tells who runs. It is locked too, because NFS cannot lock a
folder.
"""

import contextlib
import fcntl
import os
import typing

from computed import exception
from computed import files
from computed.conf import validation

FILE = 'computed.lock'
# Characters of the file.
_PID_WIDTH = 16


class Lock:
    """The lock of this process on its state path.

    :ivar place: device and inode of the folder, which tell it from its
        copies on this machine. No other folder gets this number while the
        lock is held.
    """

    def __init__(self, state_path: str) -> None:
        """Take the lock.

        :raises computed.exception.AlreadyRunning: another process has it
        :raises OSError: the path cannot be used
        """
        self._descriptors: list[int] = []
        try:
            folder = self._open(os.open(
                state_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            file = self._open(files.open_private(
                files.below(state_path, FILE), os.O_RDWR | os.O_CREAT))
            # Not every file system can lock a folder.
            with contextlib.suppress(OSError):
                self._lock(folder, state_path, file)
            self._lock(file, state_path, file)
            # In place: the blocks of the former pid are enough on a full disk.
            os.pwrite(file, f'{os.getpid():<{_PID_WIDTH}}'.encode(), 0)
            self.place = '{:x}:{:x}'.format(*_number(os.fstat(folder)))
        except BaseException:
            self.close()
            raise

    def _open(self, descriptor: int) -> int:
        self._descriptors.append(descriptor)
        return descriptor

    @staticmethod
    def _lock(descriptor: int, state_path: str, file: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(file, _PID_WIDTH, 0).decode(
                'ascii', 'replace').strip()
            raise exception.AlreadyRunning(
                pid=pid if pid.isdecimal() else 'unknown',
                path=state_path) from None

    def is_at(self, state_path: str) -> bool:
        """Return whether what was locked is still what the path names."""
        paths = state_path, files.below(state_path, FILE)
        try:
            return [_number(os.fstat(found)) for found in self._descriptors
                    ] == [_number(os.stat(path)) for path in paths]
        except FileNotFoundError:
            return False

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another service have the state path."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def _number(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def take(state_path: str) -> Lock:
    """Keep every other ``computed`` off ``state_path``.

    :returns: the lock, which lasts until it is closed
    :raises computed.exception.AlreadyRunning: another one has the lock
    :raises computed.exception.ConfigError: the path cannot be used
    :raises computed.exception.StatePathUnwritable: it is full or read-only
    """
    try:
        while True:
            files.make_private(state_path)
            lock = Lock(state_path)
            # Both may have been replaced between their opening and their
            # locking.
            if lock.is_at(state_path):
                return lock
            lock.close()
    except OSError as error:
        error.filename = error.filename or files.below(state_path, FILE)
        raise validation.unusable_state_path(state_path, error) from error
