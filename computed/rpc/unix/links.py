"""The client's connections to the servers of ``unix://``."""

import collections
import contextlib
import os
import socket
import struct
import threading
import typing
from collections import abc

from computed import clock
from computed import files
from computed.rpc.unix import owners
from computed.rpc.unix import wire as unix_wire

IDLE = 16                   # unused connections a client keeps to one server
REDIAL = 0.01               # seconds between tries of a server that is full


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """Return ``(pid, uid)`` of the process at the other end.

    The kernel tells them, so the peer cannot lie.
    """
    pid, uid, _ = struct.unpack('3i', sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def is_trusted(uid: int) -> bool:
    """Return whether a user may call this process: root or its own user.
    """
    return uid in (0, os.geteuid())


def _may_serve(uid: int, folder: str) -> bool:
    """Return whether a server of this user may serve this process.

    Root also runs commands for services of another user. What is in a folder
    of that user alone was put there by that user. If the folder has another
    owner now, that server cannot use it any more.
    """
    return uid == os.geteuid() or (
        os.geteuid() == 0 and files.is_of(folder, uid) and
        os.stat(folder).st_uid == uid)


class Link:
    """A connection to the server at ``path``, for one request at a time."""

    def __init__(self, path: str, deadline: float | None) -> None:
        """Connect.

        :param deadline: on the monotonic clock; None: no limit
        :raises computed.rpc.unix.owners.Forbidden: its server is not ours
        :raises OSError: there is no connection
        """
        self.path = path
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect(deadline)
        except BaseException:
            self.forget()
            raise

    def _connect(self, deadline: float | None) -> None:
        # An address has at most 107 bytes, a path may have more. So the
        # socket is opened, and its descriptor is the address.
        fd = os.open(self.path, os.O_PATH)
        try:
            self._dial(f'/proc/self/fd/{fd}',
                       unix_wire.left(deadline) or unix_wire.STUCK)
        finally:
            os.close(fd)
        _, uid = peer_of(self._sock)
        folder = os.path.dirname(self.path)
        if not _may_serve(uid, folder):
            raise owners.Forbidden(folder, server=uid)

    def _dial(self, address: str, seconds: float) -> None:
        # A connect() with a limit does not wait while the server's backlog
        # is full. So it is tried again.
        self._sock.setblocking(False)
        last = clock.monotonic() + seconds
        while True:
            try:
                self._sock.connect(address)
                return
            except BlockingIOError:
                if clock.monotonic() > last:
                    raise TimeoutError('it accepts no connection') from None
            threading.Event().wait(REDIAL)

    def send(self, frame: bytes, deadline: float | None) -> None:
        """Send ``frame``. If this raises, the server cannot act on it.

        A part of the frame is then missing, and servers act on whole frames
        only.
        """
        self._sock.settimeout(unix_wire.left(deadline))
        self._sock.sendall(frame)

    def receive(self, deadline: float | None) -> dict[str, typing.Any]:
        """Return the dict of the next frame.

        :raises OSError: the connection is broken
        :raises: see :func:`computed.rpc.unix.wire.receive` for others
        """
        self._sock.settimeout(None)
        return unix_wire.receive(self._sock, deadline)

    def is_usable(self) -> bool:
        """Return whether the server is still there and owes no answer."""
        self._sock.setblocking(False)
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def hang_up(self) -> None:
        """Close the connection, also for children made by fork."""
        with contextlib.suppress(OSError):      # the server closed it first
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def forget(self) -> None:
        """Close the descriptor of this process only."""
        self._sock.close()


class Pool:
    """A client's connections, by the path of the server's socket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[Link]] = collections.defaultdict(list)
        self._links: set[Link] = set()

    def take(self, path: str) -> Link | None:
        """Return an unused connection to ``path`` that works, or None."""
        while True:
            with self._lock:
                if not self._idle[path]:
                    return None
                link = self._idle[path].pop()
            if link.is_usable():
                return link
            self.drop(link)

    def connect(self, path: str, deadline: float | None) -> Link:
        """Return a new connection to ``path``.

        :raises OSError: there is no connection
        """
        link = Link(path, deadline)
        with self._lock:
            self._links.add(link)
        return link

    def give_back(self, link: Link) -> None:
        """Keep a connection that works for the next request."""
        with self._lock:
            if link in self._links and len(self._idle[link.path]) < IDLE:
                self._idle[link.path].append(link)
                return
        self.drop(link)

    def drop(self, link: Link) -> None:
        """Close a connection."""
        with self._lock:
            self._links.discard(link)
        link.hang_up()

    def keep_only(self, paths: abc.Iterable[str]) -> None:
        """Close unused connections to servers other than ``paths``."""
        with self._lock:
            gone = [link for path in self._idle.keys() - set(paths)
                    for link in self._idle.pop(path)]
        for link in gone:
            self.drop(link)

    def close(self) -> None:
        """Close what is unused now, and the rest when it is given back."""
        self.keep_only([])
        with self._lock:
            self._links.clear()

    def forget(self) -> None:
        """Let go of the parent's connections in a child made by fork.

        The lock is not taken: a thread of the parent may hold it.
        """
        for link in self._links:
            link.forget()
