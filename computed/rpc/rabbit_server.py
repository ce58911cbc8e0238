"""What this package adds to the library's server for RabbitMQ.

The broker drops a request that waits in its queue for longer than its caller
does. But it hands requests out at once. So a request can wait in the socket of
a process that sleeps, where no limit applies, or in front of busy workers.
Here each request has a deadline on the clock of this process.
"""

import typing

import oslo_messaging
from oslo_log import log as logging

# Private, and the only way to the messages. What is used is checked by
# test_the_library_still_has_what_a_server_needs.
from oslo_messaging._drivers import amqp
from oslo_messaging._drivers import amqpdriver
from oslo_messaging._drivers import common

from computed import clock
from computed.rpc import envelopes
from computed.rpc import late_replies
from computed.rpc import rabbit
from computed.rpc import unsent

LOG = logging.getLogger(__name__)

# Seconds that one wait for a request lasts at most.
SLICE = 0.5
# The same while requests may wait in the socket. It is short, because a busy
# server hardly ever waits long for the next request.
GLANCE = 0.05
# If nothing ran for so many seconds, this process did not read its socket.
STALL = 1.0


class Wakefulness:
    """Knows since when a request may wait in the socket of this process.

    The thread that reads the socket reports that it runs. While it does not,
    requests pile up in the socket. So what it reads after a gap may be as old
    as the gap, until the socket is seen empty. Under load it never is. But the
    thread reads far faster than requests come. So it also has read all that
    waited when it has run for as long as it did not.
    """

    def __init__(self) -> None:
        self._ran = clock.monotonic()
        self._behind: float | None = None
        self._read_up = 0.0

    @property
    def slice(self) -> float:
        """Return how long to wait for a request at most, in seconds."""
        return SLICE if self._behind is None else GLANCE

    def runs(self, empty: bool = False) -> None:
        """Note that the thread runs now.

        :param empty: the socket was empty since the last call
        """
        now = clock.monotonic()
        if now - self._ran > STALL:
            if self._behind is None:
                self._behind = self._ran
            self._read_up = now + (now - self._behind)
        elif empty or now >= self._read_up:
            self._behind = None
        self._ran = now

    def reconnected(self) -> None:
        """Note that the socket is a new one; nothing waited in it."""
        self._ran, self._behind = clock.monotonic(), None

    def arrived(self) -> float:
        """Return when a request that is read now may have come.

        It is a time of :func:`computed.clock.monotonic`.
        """
        self.runs()
        return self._ran if self._behind is None else self._behind


class WatchedConnection:
    """The connection of a listener, which reports that its thread runs."""

    def __init__(self, connection: typing.Any) -> None:
        self._connection = connection
        self._channel = connection.channel
        self._wakefulness = Wakefulness()

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self._connection, name)

    def consume(self, timeout: float) -> None:
        """Wait for a request, but only for a short time."""
        self._wakefulness.runs()
        try:
            self._connection.consume(
                timeout=min(timeout, self._wakefulness.slice))
        except common.Timeout:
            self._wakefulness.runs(empty=True)
            raise
        self._wakefulness.runs()

    def arrived(self) -> float:
        """See :meth:`Wakefulness.arrived`."""
        if self._connection.channel is not self._channel:
            self._channel = self._connection.channel
            self._wakefulness.reconnected()
        return self._wakefulness.arrived()


class Incoming(amqpdriver.AMQPIncomingMessage):
    """A request, and the way back to its sender."""

    def __init__(self, listener: typing.Any, ctxt: dict[str, typing.Any],
                 message: typing.Any, unique_id: typing.Any,
                 msg_id: typing.Any, reply_q: typing.Any,
                 *others: typing.Any) -> None:
        """:raises ValueError: nobody can be answered"""
        if not isinstance(msg_id, str | None) or not isinstance(
                reply_q, str if msg_id else str | None):
            raise ValueError('the way of the answer is malformed')
        super().__init__(listener, ctxt, message, unique_id, msg_id, reply_q,
                         *others)
        self._deadline = deadline(
            message._raw_message.properties.get('expiration'),
            listener.conn.arrived())

    def reply(self, reply: typing.Any = None, failure: typing.Any = None
              ) -> None:
        """Send the answer; if its queue is missing, another thread does it.
        """
        if not self.orig_msg_id:        # a cast has no answer
            return
        known_as_gone = not self._obsolete_reply_queues.reply_q_valid(
            self.reply_q, self.msg_id)
        if known_as_gone or self._attempt(reply, failure):
            return
        seconds = self.listener.driver.missing_destination_retry_timeout
        if not self.listener.late_replies.add(late_replies.Reply(
                self.reply_q, lambda: self._attempt(reply, failure),
                self._give_up, clock.monotonic() + seconds)):
            LOG.debug('Dropped a reply to %s: too many wait.', self.reply_q)

    def _attempt(self, reply: typing.Any, failure: typing.Any) -> bool:
        """Send the answer; return False if its queue is missing."""
        try:
            try:
                self._send(reply, failure)
            except oslo_messaging.MessageDeliveryFailure as error:
                refusal = rabbit.refusal_of_message(error)
                if refusal is None:
                    raise
                self._send(None, unsent.failure(self.message, refusal))
        except (oslo_messaging.MessageUndeliverable,
                amqp.AMQPDestinationNotFound):
            return False
        return True

    def _send(self, reply: typing.Any, failure: typing.Any) -> None:
        with self.listener.driver._get_connection(
                common.PURPOSE_SEND) as connection:
            self._send_reply(connection, reply, failure)

    def _give_up(self) -> None:
        # The library drops further replies to this queue for a while.
        self._obsolete_reply_queues.add(self.reply_q, self.msg_id)

    def is_given_up(self) -> bool:
        """Return whether the caller has stopped to wait."""
        return (self._deadline is not None and
                clock.monotonic() > self._deadline)


def deadline(expiration: object, arrived: float) -> float | None:
    """Return until when a caller waits; None: it sets no limit.

    :param expiration: the milliseconds that the broker keeps the request,
        which are those that its caller waits
    :param arrived: see :meth:`Wakefulness.arrived`
    """
    try:
        return arrived + float(str(expiration)) / 1000
    except ValueError:
        return None


def improved(listener: typing.Any) -> typing.Any:
    """Return ``listener`` with what this module adds, if it is RabbitMQ's."""
    poller = getattr(listener, '_poll_style_listener', None)
    if isinstance(poller, amqpdriver.RpcAMQPListener):
        poller.conn = WatchedConnection(poller.conn)
        poller.message_cls = Incoming
        poller.msg_id_cache = envelopes.SeenIds()
        poller.late_replies = late_replies.LateReplies()
    return listener
