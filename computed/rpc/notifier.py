"""Send notifications through the notifier of oslo.messaging.

The library's notifier writes a traceback for each failure, and tells its
caller nothing. So the transport that it gets keeps the failure.
"""

import typing

import amqp
import kombu.exceptions
import oslo_messaging as messaging
from oslo_config import cfg
from oslo_messaging import transport as messaging_transport

from computed import exception
from computed.conf import notifications as options_module
from computed.notifications import outbox
from computed.rpc import options
from computed.rpc import rabbit

# The library's names of the drivers.
DRIVERS = {options_module.LOG: 'log',
           options_module.MESSAGING: 'messagingv2'}
FAILURES = (kombu.exceptions.KombuError, amqp.AMQPError, OSError,
            messaging.MessagingException)


class _Transport(messaging_transport.NotificationTransport):
    """A transport whose last failure is in ``failure``, or None."""

    failure: Exception | None = None

    def _send_notification(self, *args: typing.Any,
                           **kwargs: typing.Any) -> None:
        try:
            super()._send_notification(*args, **kwargs)
        except Exception as error:
            self.failure = error


class Channel:
    """A way to the consumers; see :class:`outbox.Channel`."""

    def __init__(self, conf: cfg.ConfigOpts, publisher: str) -> None:
        """:param publisher: who sends, such as ``conductor:h1``
        :raises computed.exception.ConfigError: the transport has no queues
        """
        driver = conf.notifications.driver
        self._transport = _transport(conf)
        rabbit.make_prompt(self._transport)
        self._notifier = messaging.Notifier(
            self._transport, publisher, DRIVERS[driver], retry=0,
            topics=conf.notifications.topics)

    def send(self, event_type: str, payload: dict[str, typing.Any],
             failed: bool) -> None:
        """Send a notification.

        :raises outbox.Unsent: the broker is away
        :raises outbox.Unsendable: the broker takes no such message
        """
        self._transport.failure = None
        send = self._notifier.error if failed else self._notifier.info
        send({}, event_type, payload)
        failure = self._transport.failure
        if failure is None:
            return
        if not isinstance(failure, FAILURES):
            raise failure
        if refusal := rabbit.refusal_of_message(failure):
            raise outbox.Unsendable(refusal)
        raise outbox.Unsent(rabbit.problem_of(failure))

    def close(self) -> None:
        """Close its connections."""
        rabbit.close(self._transport)


def _transport(conf: cfg.ConfigOpts) -> _Transport:
    """Return the configured transport, which connects to nothing yet."""
    url = options.url(conf)     # it registers the options of the library
    url = conf.oslo_messaging_notifications.transport_url or url
    try:
        options.check(conf, url)
        found = messaging.get_notification_transport(conf, url)
    except (messaging.InvalidTransportURL, messaging.DriverLoadFailure,
            ImportError, ValueError) as error:
        raise exception.ConfigError(
            option='[oslo_messaging_notifications] transport_url',
            value=options.shown(url), problem=str(error),
            remedy='Give a URL such as rabbit://user:password@host:5672/, '
                   'or none.') from None
    if conf.notifications.driver == options_module.MESSAGING and (
            rabbit.driver_of(found) is None):
        raise exception.ConfigError(
            option='[notifications] driver', value=options_module.MESSAGING,
            problem=f'{options.shown(url)} is no broker',
            remedy='Write log or off, or name a broker: [DEFAULT] '
                   'transport_url = rabbit://user:password@host:5672/')
    return _Transport(found._driver)


def make(conf: cfg.ConfigOpts, publisher: str) -> Channel | None:
    """Return the configured way to the consumers; None: none is wanted.

    :raises computed.exception.ConfigError: it cannot be used
    """
    if conf.notifications.driver == options_module.OFF:
        return None
    return Channel(conf, publisher)
