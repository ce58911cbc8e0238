"""The server's side of ``unix://``: a listening socket and its clients.

:mod:`computed.rpc.unix.driver` describes the protocol of the two sides.
"""

import os
import queue
import selectors
import socket
import threading

from oslo_log import log as logging

# Private, and the only way to write a driver. What this driver relies on is
# checked by test_the_library_still_asks_for_what_this_driver_gives.
from oslo_messaging._drivers import base

from computed import clock
from computed import concurrency
from computed.logs import seldom
from computed.rpc.unix import budget as unix_budget
from computed.rpc.unix import links as unix_links
from computed.rpc.unix import peers as unix_peers
from computed.rpc.unix import place
from computed.rpc.unix import wire as unix_wire

LOG = logging.getLogger(__name__)
FULL = 0.02                 # seconds between looks at a full server
LOOK = 2.0                  # seconds between looks at the name of a socket


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
        self._lines = seldom.Seldom(LOG)
        self._place = place.Place(directory, name)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Guards the place and its end.
        self._lock = threading.Lock()
        unix_wire.abandon_after_fork(self)
        self._acceptor = concurrency.thread('unix-accept', self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        look_at = clock.monotonic() + LOOK
        with selectors.DefaultSelector() as selector:
            selector.register(self._place.sock, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            ready: set[object] = set()
            while self._wake not in ready:
                ready = {key.fd for key, _ in selector.select(LOOK)}
                if self._place.sock.fileno() in ready and self._has_room():
                    self._admit_next()
                if clock.monotonic() >= look_at:
                    self._look(selector)
                    look_at = clock.monotonic() + LOOK
        # Serve also those who have connected.
        while self._admit_next():
            pass

    def _look(self, selector: selectors.BaseSelector) -> None:
        """Listen at another place if the name of the socket was removed."""
        if self._stopping.is_set() or self._place.is_there():
            return
        try:
            found = self._place.another()
        except OSError as error:
            self._lines.error('The socket %s was removed, and no other can '
                              'be made: %s', self._place.path, error)
            return
        with self._lock:
            if self._stopping.is_set():
                found.end()
                found.close()
                return
            former, self._place = self._place, found
        selector.unregister(former.sock)
        selector.register(found.sock, selectors.EVENT_READ)
        LOG.warning('The socket %s was removed. Listening at %s now.',
                    former.path, found.path)
        while self._admit_next(former):
            pass
        former.close()

    def _admit_next(self, where: place.Place | None = None) -> bool:
        """Serve the next client; return False if none waits."""
        try:
            self._admit((where or self._place).sock.accept()[0])
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
        with self._lock:
            self._stopping.set()
            self._place.end()
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
        if self._place.close():
            os.close(self._wake)
        for peer in list(self._peers):
            peer.close()
