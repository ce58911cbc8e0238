"""Messages of RabbitMQ that oslo.messaging has not made.

Everybody with a password can put any bytes into a queue. The library logs
each message that it cannot read with a traceback, and one that it has
acknowledged before breaks the connection.
"""

import typing

from oslo_log import log as logging

# Private, and the only way to the messages. What is used is checked by
# test_the_library_still_has_what_envelopes_need.
from oslo_messaging._drivers import amqp
from oslo_messaging._drivers import common
from oslo_messaging._drivers import impl_rabbit

from computed.logs import printable
from computed.logs import seldom

LOG = logging.getLogger(__name__)


class Repeated(Exception):
    """The broker delivered this message twice."""


class SeenIds(amqp._MsgIdCache):
    """The ids of the last requests."""

    def check_duplicate_message(self, message_data: dict[str, typing.Any]
                                ) -> str | None:
        """Return the id of a request.

        :raises Repeated: it came before. The library logs an error of its own
            with a traceback.
        """
        try:
            return super().check_duplicate_message(message_data)
        except common.DuplicateMessageError:
            raise Repeated('it was delivered before') from None


class Reader:
    """Hands the messages of a queue to their consumer, and drops others."""

    def __init__(self, consumer: typing.Any, lines: seldom.Seldom) -> None:
        """:param consumer: the library's object for a queue"""
        self._consumer = consumer
        self._lines = lines

    def __call__(self, raw: typing.Any) -> None:
        """Take one message of the broker."""
        if self._consumer.rabbit_stream_fanout:
            # The library counts the messages of a stream.
            type(self._consumer)._callback(self._consumer, raw)
            return
        to_python = getattr(self._consumer.queue.channel,
                            'message_to_python', None)
        message = to_python(raw) if to_python else raw
        try:
            self._consumer.callback(impl_rabbit.RabbitMessage(message))
        except Exception as error:      # the next message may be sound
            self._lines.warn(
                'Dropped a message in queue %s that cannot be read: %s',
                self._consumer.queue_name, printable.one_line(error))
            if not message.acknowledged:
                message.reject()


class Connection(impl_rabbit.Connection):
    """A connection that drops what the library has not made."""

    def __init__(self, *args: typing.Any, **kwargs: typing.Any) -> None:
        self._lines = seldom.Seldom(LOG)
        super().__init__(*args, **kwargs)

    def declare_consumer(self, consumer: typing.Any) -> typing.Any:
        """Consume from the queue of ``consumer``."""
        consumer._callback = Reader(consumer, self._lines)
        return super().declare_consumer(consumer)
