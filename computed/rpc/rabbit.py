"""What RabbitMQ is asked besides carrying messages: is somebody there?

oslo.messaging waits for a broker for ever, before and after it sends, and a
queue keeps what is sent to a host that is gone until its caller's time is up.
Here a client connects promptly or says why not, asks whether anybody listens
where it is about to send, sends once, and takes its reply queue along when it
goes. With every other transport all this does nothing.
"""

import contextlib
import math
import os
import threading
import time
import typing

import amqp
import kombu.exceptions
import oslo_messaging
from oslo_log import log as logging

# Private, and the only way to the connections that calls use. What we rely
# on is pinned by test_the_library_still_has_what_the_broker_needs.
from oslo_messaging._drivers import common
from oslo_messaging._drivers import impl_rabbit

LOG = logging.getLogger(__name__)

GROUP = 'oslo_messaging_rabbit'
# Replicated, so that calls and replies outlive a node of the broker.
DEFAULTS = {'rabbit_quorum_queue': True,
            'rabbit_transient_quorum_queue': True,
            # A reply to somebody who is gone holds a thread, and the end of
            # the process, for so long.
            'kombu_missing_consumer_retry_timeout': 10}
# Seconds that the reply queue of a killed command stays.
BRIEF_TTL = 60
# Seconds for which an answer proves that there is still somebody.
PRESUMED = 30.0
# Seconds that a broker may take to say whether there is somebody.
ANSWERING = 5
# Seconds to leave in order: the thread that reads replies looks up every 5.
LEAVING = 6.0

FAILURES = (kombu.exceptions.KombuError, amqp.AMQPError, OSError)


class Unreachable(Exception):
    """The broker cannot be used; nothing was sent.

    :ivar url: the transport's, a ``TransportURL``
    :ivar problem: one line
    """

    def __init__(self, url, problem):
        super().__init__(problem)
        self.url = url
        self.problem = problem


class NobodyListens(Exception):
    """There is no server; nothing was sent."""


class Unconfirmed(Exception):
    """It was perhaps sent."""


class PromptConnection(impl_rabbit.Connection):
    """Tries each of the brokers once, and then says so."""

    def __init__(self, conf, url, purpose, retry=None):
        super().__init__(conf, url, purpose, retry=attempts(url) - 1)


def attempts(url):
    """How often to connect: once to each of the brokers of ``url``."""
    return max(1, len(url.hosts))


def set_defaults(conf):
    """Change the library's defaults; what an operator wrote wins."""
    for name, value in DEFAULTS.items():
        conf.set_default(name, value, group=GROUP)


def set_brief(conf):
    """As of :func:`set_defaults`, for a process that ends soon."""
    conf.set_default('rabbit_transient_queues_ttl', BRIEF_TTL, group=GROUP)


def driver_of(transport):
    """The RabbitMQ driver of ``transport``, or None with another one."""
    driver = transport._driver
    return driver if isinstance(driver, impl_rabbit.RabbitDriver) else None


def make_prompt(transport):
    """Let a client's connections fail soon; not for servers.

    A server's replies wait for the broker, which is what they should.
    """
    if driver := driver_of(transport):
        driver._connection_pool.connection_cls = PromptConnection


def queues_of(topic, servers):
    """The queues that ``servers`` of ``topic`` keep from start to start."""
    return [topic, *(f'{topic}.{server}' for server in servers)]


class Queues(typing.NamedTuple):
    """What :func:`survey` found.

    :ivar vhost: where the queues are
    :ivar arguments: with which a server here would declare a queue
    :ivar differences: ``{name: what differs, or None}`` of those that exist
    """

    vhost: str
    arguments: dict
    differences: dict


def inspect_queues(transport, names):
    """Which of the queues exist, and are they what a server would declare?

    None is made. Queues whose names are drawn anew at each start, those of
    replies and broadcasts, are as that start declared them.

    :param names: of the queues that servers of ours share or keep
    :returns: :class:`Queues`, or None with another transport
    :raises Unreachable: the broker does not tell
    """
    driver = driver_of(transport)
    if driver is None:
        return None
    with _reaching(driver):
        # to listen, for that has no thread
        connection = PromptConnection(driver.conf, driver._url,
                                      common.PURPOSE_LISTEN)
        with contextlib.closing(connection):
            arguments = impl_rabbit._get_queue_arguments(
                connection.rabbit_ha_queues, 0,
                connection.rabbit_quorum_queue,
                connection.rabbit_quorum_queue_config, False)
            differences = {}
            for name in names:
                with contextlib.suppress(amqp.NotFound):
                    differences[name] = _difference(connection, name,
                                                    arguments)
    return Queues(driver._url.virtual_host or '/', arguments, differences)


def _difference(connection, name, arguments):
    """What differs, in the broker's words, or None.

    :raises amqp.NotFound: there is no such queue
    """
    # One of its own: a refusal closes it.
    channel = connection.connection.channel()
    channel.queue_declare(name, passive=True)
    try:
        # It exists, so this only compares.
        channel.queue_declare(
            name, durable=connection.durable,
            auto_delete=connection.amqp_auto_delete, arguments=arguments)
    except amqp.PreconditionFailed as error:
        said = ' '.join(error.reply_text.split())
        return said.removeprefix('PRECONDITION_FAILED - ')
    channel.close()
    return None


@contextlib.contextmanager
def _reaching(driver):
    try:
        yield
    except (*FAILURES, oslo_messaging.MessageDeliveryFailure) as error:
        raise Unreachable(driver._url, problem_of(error)) from None


def problem_of(error):
    """Why the broker cannot be used, in one line."""
    error = error.__cause__ or error.__context__ or error
    if isinstance(error, amqp.AccessRefused):
        return 'it refuses the user or the password'
    if isinstance(error, amqp.NotAllowed):
        return f'it refuses the virtual host ({error.reply_text})'
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)     # eventlet gives its name only
    text = getattr(error, 'strerror', None) or str(error)
    return ' '.join(text.split()) or type(error).__name__


class Servers:
    """Whoever takes calls from one queue."""

    def __init__(self, transport, queue):
        self._driver = driver_of(transport)
        self._queue = queue
        self._answered = -math.inf

    @contextlib.contextmanager
    def reached(self):
        """Surround one call with this.

        Calls in quick succession ask once: who answered is presumed there,
        and what is sent while it restarts waits for it in the queue.

        :raises Unreachable: the broker is away, nothing was sent
        :raises NobodyListens: nothing was sent
        :raises Unconfirmed: it was perhaps sent
        """
        if self._driver is None:
            yield
            return
        if time.monotonic() - self._answered > PRESUMED:
            self._demand()
        self._answered = -math.inf
        try:
            yield
        except oslo_messaging.MessageUndeliverable as error:
            raise NobodyListens(self._queue) from error
        except oslo_messaging.MessagingTimeout:
            raise
        except (*FAILURES, oslo_messaging.MessageDeliveryFailure) as error:
            raise Unconfirmed(problem_of(error)) from error
        except Exception:       # the peer's own, which is an answer
            self._answered = time.monotonic()
            raise
        self._answered = time.monotonic()

    def _demand(self):
        if not self._count():
            raise NobodyListens(self._queue)

    def _count(self):
        """How many listen; on the connection that the call will use."""
        found = []

        def look():
            try:
                found.append(connection.channel.queue_declare(
                    self._queue, passive=True).consumer_count)
            except amqp.NotFound:
                found.append(0)

        with _reaching(self._driver), self._driver._get_connection(
                common.PURPOSE_SEND) as connection:
            # To ask twice does no harm; a stale connection is mended.
            with connection._connection_lock:
                # Else it is 60 s that a broker may keep silent.
                connection.set_transport_socket_timeout(ANSWERING)
                connection.ensure(look,
                                  retry=attempts(self._driver._url))
                connection.set_transport_socket_timeout()
        return found[-1]


def close(transport):
    """End a client's transport, and leave no reply queue behind."""
    driver = driver_of(transport)
    if driver is None:
        transport.cleanup()
        return
    # Its thread cannot be stopped while the broker is away.
    leaving = threading.Thread(target=_leave, args=(transport, driver),
                               name='broker leave', daemon=True)
    leaving.start()
    leaving.join(LEAVING)


def _leave(transport, driver):
    try:
        with driver._reply_q_lock:
            if driver._reply_q is not None:
                driver._waiter.stop()
                driver._reply_q_conn.reset()
                driver._reply_q_conn.channel.queue_delete(driver._reply_q)
        transport.cleanup()
    except Exception as error:      # the queue's time to live does it
        LOG.debug('The reply queue stays for a while: %s', error)
