"""A listening socket of ``unix://``, and its name in a directory."""

import contextlib
import os
import socket
import typing

from computed import chance
from computed import files
from computed.rpc.unix import wire as unix_wire


class Place:
    """Where clients find one server.

    :ivar path: the path of the socket
    :ivar sock: the socket
    """

    def __init__(self, directory: str, name: str) -> None:
        """Listen to the socket ``name`` in ``directory``.

        :raises OSError: the directory cannot be used
        """
        self._directory = directory
        self._name = name
        self.path = files.below(directory, name)
        files.make_private(directory)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self._opened: int | None = None
        try:
            self._opened = os.open(directory, os.O_PATH | os.O_DIRECTORY)
            self._number = self._listen()
        except BaseException:
            self.close()
            raise

    def _listen(self) -> tuple[int, int]:
        """Return device and inode of the name that was made."""
        # An address has at most 107 bytes, the path of a directory may have
        # more, so /proc is used. The real name appears only when clients can
        # connect. So a socket that has its name and refuses clients is dead
        # and may be removed.
        starting = f'/proc/self/fd/{self._opened}/{chance.uuid()}'
        self.sock.bind(starting)
        try:
            os.chmod(starting, 0o600)
            self.sock.listen(128)
            number = _number(os.lstat(starting))
            os.rename(starting, self._name, dst_dir_fd=self._opened)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(starting)
            raise
        return number

    def is_there(self) -> bool:
        """Return whether the path still leads to this socket.

        The name, or a directory that leads to it, may have been removed.
        """
        try:
            return _number(os.lstat(self.path)) == self._number
        except FileNotFoundError:
            return False
        except OSError:     # a part of the path cannot be read now
            return True

    def another(self) -> typing.Self:
        """Listen in the same directory, which is made again if it is gone.

        The name is a new one: clients may remove a name that refuses them.

        :raises OSError: that is not possible
        """
        return type(self)(self._directory,
                          unix_wire.another_name(self._name))

    def end(self) -> None:
        """Remove the name. Who has connected can still be served."""
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._opened)
        self.sock.shutdown(socket.SHUT_RD)

    def close(self) -> bool:
        """Close the descriptors of this process; return False if they were.
        """
        found, self._opened = self._opened, None
        self.sock.close()
        if found is not None:
            os.close(found)
        return found is not None


def _number(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
