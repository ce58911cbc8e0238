"""Room for the files that must be written although the disk is full.

To end a guest is what an operator does to get room, so it must not need any.
The reserve is a folder of small files whose blocks are allocated. A write
that finds no room overwrites one of them in place and renames it. The file
that it replaces, or that is removed next, joins the reserve in its stead. So
nobody who waits for room, such as a guest that fills the disk, can take it;
one large file, given up when it is needed, would be lost to the first writer.

A file system that never overwrites in place (btrfs, ZFS) needs room in any
case. It keeps some for itself.
"""

import contextlib
import ctypes
import errno
import os
import threading

from computed.files import names
from computed.files import steps
from computed.files import trust

# As many claims may be under way at once, and more.
COUNT = 32
# Bytes of each file. Entries have some hundred, but errors can be long.
SIZE = 8192
_BLOCK = 512            # the unit of st_blocks
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_LIBRARY = ctypes.CDLL(None, use_errno=True)


class Reserve:
    """The files in one folder. It is safe for threads."""

    def __init__(self, folder: str, count: int = COUNT) -> None:
        """Name the folder; :meth:`fill` makes it."""
        self._folder = folder
        self._names = [f'{number:02}' for number in range(count)]
        self._lock = threading.Lock()
        # Whether some of the files are missing.
        self._lacking = True

    def fill(self) -> None:
        """Make the files that are missing.

        :raises OSError: there is no room for all of them
        """
        with self._lock:
            if not self._lacking:
                return
            trust.make_private(self._folder)
            for name in self._names:
                self._make(names.below(self._folder, name))
            self._lacking = False

    def _make(self, path: str) -> None:
        try:
            descriptor = trust.open_private(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            # It may be short: its writer was killed, or it is an entry that
            # was taken in.
            if _capacity(path) >= SIZE:
                return
            descriptor = trust.open_private(path, os.O_WRONLY)
        try:
            with open(descriptor, 'wb', buffering=0) as stream:
                _write_all(stream.fileno(), b' ' * SIZE)
                os.fsync(stream.fileno())
        except OSError:
            if not _capacity(path):
                os.unlink(path)     # it would be of no use
            raise

    def write(self, path: str, data: bytes, durable: bool) -> None:
        """Replace the file at ``path`` by ``data`` and blanks behind it.

        :param durable: whether it survives a power cut at once
        :raises OSError: no file of the reserve is large enough
        """
        with self._lock:
            spare = next((found for name in self._names if _capacity(
                found := names.below(self._folder, name)) >= len(data)),
                None)
            if spare is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            descriptor = trust.open_private(spare, os.O_WRONLY)
            try:
                with steps.step('write', path):
                    _write_all(descriptor, data.ljust(
                        os.fstat(descriptor).st_size))
                if durable:
                    with steps.step('fsync', path):
                        os.fsync(descriptor)
            finally:
                os.close(descriptor)
            with steps.step('rename', path):
                self._lacking |= not _exchanged(spare, path)

    def keep(self, path: str) -> bool:
        """Take the file at ``path`` into the reserve, if that lacks one.

        :raises OSError: it cannot be taken
        """
        with self._lock:
            if not self._lacking:
                return False
            for name in self._names:
                spare = names.below(self._folder, name)
                if not os.path.lexists(spare):
                    os.rename(path, spare)
                    return True
            self._lacking = False
            return False


def _capacity(path: str) -> int:
    """Return how many bytes the file at ``path`` takes without new room."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    return max(status.st_size, status.st_blocks * _BLOCK)


def _write_all(descriptor: int, data: bytes) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], done)


def _exchanged(spare: str, path: str) -> bool:
    """Put ``spare`` in the place of ``path``, which becomes the spare.

    :returns: False: there is no spare in its place, since there was no file
        at ``path``, or this file system cannot exchange two files
    """
    if _LIBRARY.renameat2(_AT_FDCWD, os.fsencode(spare), _AT_FDCWD,
                          os.fsencode(path), _RENAME_EXCHANGE) == 0:
        return True
    os.replace(spare, path)
    return False


def refilled(reserve: Reserve) -> None:
    """Fill the reserve again as far as there is room."""
    with contextlib.suppress(OSError):
        reserve.fill()
