"""The clients of a server of ``unix://``, and their requests."""

import contextlib
import socket
import threading
import typing
from collections import abc

from oslo_log import log as logging

# Private, and the only way to write a driver. What this driver relies on is
# checked by test_the_library_still_asks_for_what_this_driver_gives.
from oslo_messaging._drivers import base
from oslo_messaging._drivers import common

from computed import concurrency
from computed.rpc.unix import wire as unix_wire

LOG = logging.getLogger(__name__)
Content = dict[str, typing.Any]


class Peer:
    """A client's connection, seen from the server; has its own thread.

    It is closed when nothing more can be read and every call has its answer.
    """

    def __init__(self, sock: socket.socket, pid: int,
                 deliver: 'abc.Callable[[Peer, Content], object]',
                 forget: 'abc.Callable[[Peer], object]') -> None:
        """:param pid: the client's process
        :param deliver: called with this peer and each request
        :param forget: called with this peer when it is closed
        """
        # A client that does not read its answers must not keep a worker. The
        # limit also ends reads; those are tried again.
        sock.settimeout(unix_wire.STUCK)
        self._sock = sock
        self._pid = pid
        self._deliver = deliver
        self._forget = forget
        self._lock = threading.Lock()
        self._reading = True
        self._unanswered = 0
        self.thread = concurrency.thread(f'unix-peer-{pid}', self._read)

    def _read(self) -> None:
        try:
            while True:
                self._take(unix_wire.receive(self._sock))
        except ValueError as error:
            LOG.warning('Closed the connection of process %d: %s',
                        self._pid, error)
        except (EOFError, OSError):
            pass                        # clients come and go
        with self._lock:
            self._reading = False
            self._close_if_done()

    def _take(self, content: Content) -> None:
        request = unix_wire.checked_request(content)
        with self._lock:
            self._unanswered += request['id'] is not None
        self._deliver(self, request)

    def send(self, frame: bytes) -> None:
        """Send ``frame``, if the client is still there."""
        with self._lock, contextlib.suppress(OSError):
            self._put(frame)

    def is_gone(self) -> bool:
        """Return whether the client has closed the connection.

        A client that gives a call up does so at once.
        """
        try:
            self._sock.send(b'')        # fails, although it sends nothing
        except OSError:
            return True
        return False

    def answer(self, frame: bytes) -> None:
        """Send the answer to a call."""
        with self._lock:
            try:
                self._put(frame)
            except OSError as error:
                LOG.info('Process %d did not take its answer: %s',
                         self._pid, error)
            self._unanswered -= 1
            self._close_if_done()

    def _put(self, frame: bytes) -> None:
        """Send all of ``frame``; if that fails, end the connection.

        sendall() would apply its limit to the whole frame, even while the
        client reads. Here the limit applies to each part.
        """
        rest = memoryview(frame)
        try:
            while rest:
                rest = rest[self._sock.send(rest):]
        except OSError:
            self.shut(socket.SHUT_RDWR)
            raise

    def _close_if_done(self) -> None:
        if not self._reading and not self._unanswered:
            self.close()

    def shut(self, direction: int) -> None:
        """Shut one direction or both; descriptors stay valid.

        :param direction: ``socket.SHUT_RD`` or ``socket.SHUT_RDWR``
        """
        with contextlib.suppress(OSError):
            self._sock.shutdown(direction)

    def close(self) -> None:
        """Close the connection, even if calls have no answer yet."""
        self._sock.close()
        self._forget(self)


class Incoming(base.RpcIncomingMessage):
    """A request, and the way back to its sender."""

    def __init__(self, peer: Peer, request: Content) -> None:
        super().__init__(request['ctxt'], request['msg'], request['id'])
        self.client_timeout = request['timeout']
        self._peer = peer
        self._is_call = request['id'] is not None

    def requeue(self) -> None:
        """Log that this is not supported, as ``require_features`` says."""
        LOG.error('Request %s cannot be put back; it is lost', self.msg_id)

    def is_given_up(self) -> bool:
        """Return whether nobody waits for the answer of this call."""
        return self._is_call and self._peer.is_gone()

    def heartbeat(self) -> None:
        """Tell the caller that its call is being worked on."""
        self._peer.send(unix_wire.encode({'id': self.msg_id, 'alive': True}))

    def reply(self, reply: typing.Any = None, failure: typing.Any = None
              ) -> None:
        """Answer a call; a cast has no answer."""
        if not self._is_call:
            return
        try:
            frame = self._answer(reply, failure)
        except Exception as error:      # the caller must not time out
            failure = ValueError(f'the answer cannot be sent: {error}')
            frame = self._answer(None, (ValueError, failure, None))
        self._peer.answer(frame)

    def _answer(self, reply: typing.Any, failure: typing.Any) -> bytes:
        if failure:
            failure = common.serialize_remote_exception(failure)
        return unix_wire.encode(
            {'id': self.msg_id, 'result': reply, 'failure': failure})
