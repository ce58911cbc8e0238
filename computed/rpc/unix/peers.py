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

from computed import clock
from computed import concurrency
from computed.logs import seldom
from computed.rpc import unsent
from computed.rpc.unix import budget as unix_budget
from computed.rpc.unix import wire as unix_wire

LOG = logging.getLogger(__name__)
Content = dict[str, typing.Any]


class Peer:
    """A client's connection, seen from the server; has its own thread.

    It is closed when nothing more can be read and every call has its answer.
    """

    def __init__(self, sock: socket.socket, pid: int,
                 budget: unix_budget.Budget,
                 deliver: 'abc.Callable[[Incoming], object]',
                 forget: 'abc.Callable[[Peer], object]',
                 lines: seldom.Seldom) -> None:
        """:param pid: the client's process
        :param budget: what the requests of all peers share
        :param deliver: called with each request
        :param forget: called with this peer when it is closed
        :param lines: what the log gets about all peers
        """
        # A client that does not read its answers must not keep a worker. The
        # limit also ends reads; those are tried again.
        sock.settimeout(unix_wire.STUCK)
        self._sock = sock
        self._pid = pid
        self._budget = budget
        self._deliver = deliver
        self._forget = forget
        self._lines = lines
        self._lock = threading.Lock()
        self._reading = True
        self._unanswered = 0
        # When it became idle; None: it sends, or waits for an answer.
        self._idle_since: float | None = clock.monotonic()
        self.thread = concurrency.thread(f'unix-peer-{pid}', self._read)

    def _read(self) -> None:
        try:
            while True:
                self._take(unix_wire.Frame(self._sock))
        except (ValueError, TimeoutError) as error:
            self._lines.warn('Closed the connection of process %d: %s',
                             self._pid, error)
        except (EOFError, OSError):
            pass                        # clients come and go
        with self._lock:
            self._reading = False
            self._close_if_done()

    def _take(self, frame: unix_wire.Frame) -> None:
        self._idle_since = None
        size = frame.read_size()
        cost = self._budget.take(size)
        try:
            request = unix_wire.checked_request(frame.read_body(size))
        except BaseException:
            self._budget.give_back(cost)
            raise
        with self._lock:
            self._unanswered += 1
        self._deliver(Incoming(self, request, cost))

    @property
    def idle_since(self) -> float | None:
        """Return since when it owes nothing and is owed nothing.

        It is a time of the monotonic clock; None: it is busy.
        """
        return self._idle_since

    def send(self, incoming: 'Incoming', frame: bytes) -> None:
        """Send ``frame`` about a call that is being worked on.

        :raises OSError: the client is gone, or the call has its answer
        """
        with self._lock:
            if incoming.cost is None:
                raise BrokenPipeError('the call has its answer')
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

    def answer(self, incoming: 'Incoming', frame: bytes | None) -> None:
        """Send the answer to a request, which has then ended.

        :param frame: None: it has no answer
        """
        with self._lock:
            if incoming.cost is None:
                return
            self._budget.give_back(incoming.cost)
            incoming.cost = None
            try:
                if frame is not None:
                    self._put(frame)
            except OSError as error:
                LOG.info('Process %d did not take its answer: %s',
                         self._pid, error)
            self._unanswered -= 1
            if not self._unanswered:
                self._idle_since = clock.monotonic()
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

    def __init__(self, peer: Peer, request: Content, cost: int) -> None:
        """:param cost: what it takes of the budget until it has ended"""
        super().__init__(request['ctxt'], request['msg'], request['id'])
        self.client_timeout = request['timeout']
        self.cost: int | None = cost
        self._peer = peer
        self._is_call = request['id'] is not None

    def requeue(self) -> None:
        """Log that this is not supported, as ``require_features`` says."""
        LOG.error('Request %s cannot be put back; it is lost', self.msg_id)

    def is_given_up(self) -> bool:
        """Return whether nobody waits for the answer of this call."""
        return self._is_call and self._peer.is_gone()

    def heartbeat(self) -> None:
        """Tell the caller that its call is being worked on.

        :raises OSError: nobody waits for the call any more. The library's
            thread that calls this ends only by an error.
        """
        self._peer.send(
            self, unix_wire.encode({'id': self.msg_id, 'alive': True}))

    def reply(self, reply: typing.Any = None, failure: typing.Any = None
              ) -> None:
        """Answer a call; a cast has no answer."""
        if not self._is_call:
            self._peer.answer(self, None)
            return
        try:
            frame = self._answer(reply, failure)
        except unix_wire.TooLarge as error:
            frame = self._answer(
                None, unsent.failure(self.message, str(error)))
        except Exception as error:      # the caller must not time out
            failure = ValueError(f'the answer cannot be sent: {error}')
            frame = self._answer(None, (ValueError, failure, None))
        self._peer.answer(self, frame)

    def _answer(self, reply: typing.Any, failure: typing.Any) -> bytes:
        if failure:
            failure = common.serialize_remote_exception(failure)
        return unix_wire.encode(
            {'id': self.msg_id, 'result': reply, 'failure': failure})
