"""What this package adds to oslo.messaging's driver for RabbitMQ.

oslo.messaging waits for a broker without a limit, before and after it sends.
Here a client connects promptly or reports why it cannot, sends once, and
deletes its reply queue when it ends. With every other transport all this does
nothing.
"""

import contextlib
import os
import typing
from collections import abc

import amqp
import kombu.exceptions
import oslo_messaging
from oslo_config import cfg
from oslo_log import log as logging

# Private, and the only way to the connections that calls use. What is used is
# checked by test_the_library_still_has_what_the_broker_needs.
from oslo_messaging._drivers import common
from oslo_messaging._drivers import impl_rabbit

from computed import concurrency
from computed.rpc import envelopes

LOG = logging.getLogger(__name__)

GROUP = 'oslo_messaging_rabbit'
# Replicated, so that calls and replies outlive a node of the broker.
DEFAULTS = {'rabbit_quorum_queue': True,
            'rabbit_transient_quorum_queue': True,
            # A reply whose queue is missing is tried again for this many
            # seconds; see late_replies.
            'kombu_missing_consumer_retry_timeout': 10}
# Seconds that the reply queue of a killed command stays.
BRIEF_TTL = 60
# Seconds for an orderly end: the thread that reads replies stops within 5.
LEAVING = 6.0

# AMQP's numbers of the method that publishes a message.
PUBLISH = (60, 40)

FAILURES = (kombu.exceptions.KombuError, amqp.AMQPError, OSError)


class Unreachable(Exception):
    """The broker cannot be used; nothing was sent.

    :ivar url: of the transport
    :ivar problem: the reason, in one line
    """

    def __init__(self, url: oslo_messaging.TransportURL, problem: str
                 ) -> None:
        super().__init__(problem)
        self.url = url
        self.problem = problem


class NobodyListens(Exception):
    """No server listens to the queue; nothing was sent."""


class Unconfirmed(Exception):
    """The broker did not confirm the call; it may have been sent."""


class TooLarge(Exception):
    """The broker takes no message of this size; nothing was sent."""


class PromptConnection(envelopes.Connection):
    """A connection that tries each of the brokers once, and then fails."""

    def __init__(self, conf: cfg.ConfigOpts,
                 url: oslo_messaging.TransportURL, purpose: str,
                 retry: int | None = None) -> None:
        super().__init__(conf, url, purpose, retry=attempts(url) - 1)


def attempts(url: oslo_messaging.TransportURL) -> int:
    """Return how often to connect: once to each of the brokers of ``url``.
    """
    return max(1, len(url.hosts))


def set_defaults(conf: cfg.ConfigOpts) -> None:
    """Change the library's defaults; configured values stay."""
    for name, value in DEFAULTS.items():
        conf.set_default(name, value, group=GROUP)


def set_brief(conf: cfg.ConfigOpts) -> None:
    """Change the library's defaults for a process that ends soon."""
    conf.set_default('rabbit_transient_queues_ttl', BRIEF_TTL, group=GROUP)


def driver_of(transport: oslo_messaging.Transport
              ) -> impl_rabbit.RabbitDriver | None:
    """Return the driver of ``transport``; None: it is not RabbitMQ's."""
    driver = transport._driver
    return driver if isinstance(driver, impl_rabbit.RabbitDriver) else None


def read_safely(transport: oslo_messaging.Transport) -> None:
    """Let all connections drop messages that cannot be read."""
    if driver := driver_of(transport):
        driver._connection_pool.connection_cls = envelopes.Connection


def make_prompt(transport: oslo_messaging.Transport) -> None:
    """Let the connections of a client fail soon.

    Do not use it for servers: their replies must wait for the broker.
    """
    if driver := driver_of(transport):
        driver._connection_pool.connection_cls = PromptConnection


def queues_of(topic: str, servers: abc.Iterable[str | None]) -> list[str]:
    """Return the queues of ``servers`` that outlive a restart."""
    return [topic, *(f'{topic}.{server}' for server in servers)]


class Queues(typing.NamedTuple):
    """What :func:`inspect_queues` found.

    :ivar vhost: the virtual host of the queues
    :ivar arguments: the ones with which a server here would declare a queue
    :ivar differences: for each queue that exists, what differs, or None
    """

    vhost: str
    arguments: dict[str, typing.Any]
    differences: dict[str, str | None]


def inspect_queues(transport: oslo_messaging.Transport,
                   names: abc.Iterable[str]) -> Queues | None:
    """Return which queues exist, and how they differ from what is declared.

    No queue is made. Queues for replies and broadcasts get a new name at each
    start, so they cannot differ.

    :param names: the queues that our servers share or keep
    :returns: None: the transport is not RabbitMQ's
    :raises Unreachable: the broker does not answer
    """
    driver = driver_of(transport)
    if driver is None:
        return None
    with reaching(driver):
        # A connection for this purpose has no thread.
        connection = PromptConnection(driver.conf, driver._url,
                                      common.PURPOSE_LISTEN)
        with contextlib.closing(connection):
            arguments = impl_rabbit._get_queue_arguments(
                connection.rabbit_ha_queues, 0,
                connection.rabbit_quorum_queue,
                connection.rabbit_quorum_queue_config, False)
            differences: dict[str, str | None] = {}
            for name in names:
                with contextlib.suppress(amqp.NotFound):
                    differences[name] = _difference(connection, name,
                                                    arguments)
    return Queues(driver._url.virtual_host or '/', arguments, differences)


def _difference(connection: impl_rabbit.Connection, name: str,
                arguments: dict[str, typing.Any]) -> str | None:
    """Return what differs, in the broker's words, or None.

    :raises amqp.NotFound: the queue does not exist
    """
    # A channel for this question alone, because a refusal closes it.
    channel = connection.connection.channel()
    channel.queue_declare(name, passive=True)
    try:
        # The queue exists, so this only compares.
        channel.queue_declare(
            name, durable=connection.durable,
            auto_delete=connection.amqp_auto_delete, arguments=arguments)
    except amqp.PreconditionFailed as error:
        return _precondition(error)
    channel.close()
    return None


def _precondition(error: amqp.PreconditionFailed) -> str:
    """Return what the broker requires, in its words."""
    text = ' '.join(error.reply_text.split())
    return text.removeprefix('PRECONDITION_FAILED - ')


def refusal_of_message(failure: BaseException) -> str | None:
    """Return why the broker takes no such message, in its words.

    :returns: None: ``failure`` has another reason
    """
    error = failure.__cause__ or failure.__context__ or failure
    if isinstance(error, amqp.PreconditionFailed) and (
            error.method_sig == PUBLISH):
        return _precondition(error)
    return None


@contextlib.contextmanager
def reaching(driver: impl_rabbit.RabbitDriver) -> abc.Iterator[None]:
    """Turn failures of the broker in the body into :class:`Unreachable`."""
    try:
        yield
    except (*FAILURES, oslo_messaging.MessageDeliveryFailure) as error:
        raise Unreachable(driver._url, problem_of(error)) from None


def problem_of(failure: BaseException) -> str:
    """Return why the broker cannot be used, in one line."""
    error: typing.Any = (failure.__cause__ or failure.__context__ or
                         failure)
    if isinstance(error, amqp.AccessRefused):
        return 'it refuses the user or the password'
    if isinstance(error, amqp.NotAllowed):
        return f'it refuses the virtual host ({error.reply_text})'
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)     # eventlet gives its name only
    text = getattr(error, 'strerror', None) or str(error)
    return ' '.join(text.split()) or type(error).__name__


def close(transport: oslo_messaging.Transport) -> None:
    """End a client's transport, and leave no reply queue behind."""
    driver = driver_of(transport)
    if driver is None:
        transport.cleanup()
        return
    # The driver's thread cannot be stopped while the broker is away.
    leaving = concurrency.thread('broker leave', _leave, transport, driver)
    leaving.start()
    leaving.join(LEAVING)


def _leave(transport: oslo_messaging.Transport,
           driver: impl_rabbit.RabbitDriver) -> None:
    try:
        with driver._reply_q_lock:
            if driver._reply_q is not None:
                driver._waiter.stop()
                driver._reply_q_conn.reset()
                driver._reply_q_conn.channel.queue_delete(driver._reply_q)
        transport.cleanup()
    except Exception as error:      # its time to live ends the queue
        LOG.debug('The reply queue stays for a while: %s', error)
