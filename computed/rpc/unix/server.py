"""The server's side of ``unix://``: a listening socket and its clients.

:mod:`computed.rpc.unix.driver` describes the protocol of the two sides.
"""

import contextlib
import os
import queue
import selectors
import socket
import threading

from oslo_log import log as logging

# Private, and the only way to write a driver. What this driver relies on is
# checked by test_the_library_still_asks_for_what_this_driver_gives.
from oslo_messaging._drivers import base

from computed import chance
from computed import concurrency
from computed import files
from computed.logs import seldom
from computed.rpc.unix import budget as unix_budget
from computed.rpc.unix import links as unix_links
from computed.rpc.unix import peers as unix_peers
from computed.rpc.unix import wire as unix_wire

LOG = logging.getLogger(__name__)
FULL = 0.02                 # seconds between looks at a full server


class UnixListener(base.PollStyleListener):
    """The socket of one RPC server, and the requests that arrive there."""

    def __init__(self, directory: str, name: str) -> None:
        """Listen to the socket ``name`` in ``directory``.

        :raises OSError: the directory cannot be used
        """
        super().__init__()
        self._requests: queue.SimpleQueue[unix_peers.Incoming | None] = (
            queue.SimpleQueue())
        self._peers: set[unix_peers.Peer] = set()
        self._budget = unix_budget.Budget()
        self._stopping = threading.Event()
        self._name = name
        self._lines = seldom.Seldom(LOG)
        files.make_private(directory)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.setblocking(False)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._directory: int | None = os.open(
            directory, os.O_PATH | os.O_DIRECTORY)
        try:
            self._listen()
        except BaseException:
            self.abandon()
            raise
        unix_wire.abandon_after_fork(self)
        self._acceptor = concurrency.thread('unix-accept', self._accept)
        self._acceptor.start()

    def _listen(self) -> None:
        # An address has at most 107 bytes, the path of a directory may have
        # more, so /proc is used. The real name appears only when clients can
        # connect. So a socket that has its name and refuses clients is dead
        # and may be removed.
        starting = f'/proc/self/fd/{self._directory}/{chance.uuid()}'
        self._sock.bind(starting)
        try:
            os.chmod(starting, 0o600)
            self._sock.listen(128)
            os.rename(starting, self._name, dst_dir_fd=self._directory)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(starting)
            raise

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            ready: set[object] = set()
            while self._wake not in ready:
                ready = {key.fd for key, _ in selector.select()}
                if self._sock.fileno() in ready and self._has_room():
                    self._admit_next()
        # Serve also those who have connected.
        while self._admit_next():
            pass

    def _admit_next(self) -> bool:
        """Serve the next client; return False if none waits."""
        try:
            self._admit(self._sock.accept()[0])
        except BlockingIOError:
            return False
        except (OSError, RuntimeError) as error:
            if self._stopping.is_set():
                return False
            self._lines.error('Cannot accept a connection: %s', error)
            self._stopping.wait(0.1)
        return True

    def _has_room(self) -> bool:
        """Return whether the client that waits can be served.

        If not, the client that has been idle for longest is let go. The one
        that waits goes on waiting until the other is gone.
        """
        if len(self._peers) < unix_budget.PEERS:
            return True
        idle = [(since, id(peer), peer) for peer in list(self._peers)
                if (since := peer.idle_since) is not None]
        if idle:
            # It may try another server if it sends something now.
            min(idle)[2].shut(socket.SHUT_RD)
        self._stopping.wait(FULL)
        return False

    def _admit(self, accepted: socket.socket) -> None:
        # Under eventlet the accepted socket is a plain one, which eventlet
        # cannot wait for. So it is made again.
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM,
                             fileno=accepted.detach())
        pid, uid = unix_links.peer_of(sock)
        if not unix_links.is_trusted(uid):
            self._lines.warn('Refused process %d of user %d', pid, uid)
            sock.close()
            return
        peer = unix_peers.Peer(sock, pid, self._budget, self._requests.put,
                               self._peers.discard, self._lines)
        self._peers.add(peer)
        try:
            peer.thread.start()
        except RuntimeError:            # no more threads
            peer.close()
            raise

    @base.batch_poll_helper
    def poll(self, timeout: float | None = None) -> unix_peers.Incoming | None:
        """Return the next request; None after ``timeout`` seconds or stop().
        """
        try:
            request = self._requests.get(timeout=timeout)
        except queue.Empty:
            return None
        if request is None:
            self._requests.put(None)    # for the next poll()
        return request

    def stop(self) -> None:
        """Take no new requests; answer those sent before.

        No request is lost: after SHUT_RD the next send of each client fails,
        and the client may try another server. What was sent before can still
        be read.
        """
        if self._stopping.is_set():
            return
        self._stopping.set()
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._directory)
        self._sock.shutdown(socket.SHUT_RD)
        os.eventfd_write(self._wake, 1)
        self._acceptor.join()
        peers = list(self._peers)
        for peer in peers:
            peer.shut(socket.SHUT_RD)
        for peer in peers:
            peer.thread.join()
        self._requests.put(None)

    def cleanup(self) -> None:
        """Stop, and close everything that is open."""
        self.stop()
        self.abandon()

    def abandon(self) -> None:
        """Close the descriptors of this process only.

        A child made by fork calls this: the sockets are its parent's.
        """
        self._stopping.set()
        if self._directory is not None:
            os.close(self._directory)
            os.close(self._wake)
        self._directory = None
        self._sock.close()
        for peer in list(self._peers):
            peer.close()
