"""The one object through which this process calls and is called."""

import os
import threading
import typing
from collections import abc

import oslo_messaging as messaging
from oslo_config import cfg

from computed import exception
from computed.conf import validation
from computed.rpc import dispatch
from computed.rpc import errors
from computed.rpc import options
from computed.rpc import rabbit
from computed.rpc import rabbit_calls
from computed.rpc import serializer as rpc_serializer
from computed.rpc import server as rpc_server
from computed.rpc.unix import driver as unix_driver

# Only errors of these modules are made again from what a peer sends.
ERROR_MODULES = ['computed.exception']


class Transport:
    """Makes clients and servers of RPC, for one configured URL.

    A test or a simulator gives another object with these methods to the
    services, :class:`computed.rpc.hostapi.HostAPI` and
    :class:`computed.conductor.client.ConductorAPI`.

    :ivar conf: the configuration
    :ivar address: the URL without users and passwords, for people
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Prepare to use the URL that ``conf`` names; connect to nothing.

        :raises computed.exception.ConfigError: the URL is not usable
        """
        self.conf = conf
        self.address = options.address(conf)
        self._library = _library_transport(conf)
        self._ending = threading.Event()

    def client(self, target: messaging.Target, timeout: float | None = None,
               serializer: messaging.Serializer | None = None,
               version_cap: str | None = None) -> messaging.RPCClient:
        """Return a client of servers of ``target``; it sends a call once.

        :param timeout: seconds; None: ``rpc_response_timeout``
        :param version_cap: the highest version of RPC to use; None: any
        """
        rabbit.make_prompt(self._library)
        if driver := rabbit.driver_of(self._library):
            rabbit_calls.improve(driver)
        return messaging.get_rpc_client(
            self._library, target, timeout=timeout, retry=0,
            version_cap=version_cap,
            serializer=serializer or rpc_serializer.Serializer(),
            transport_options=messaging.TransportOptions(at_least_once=True))

    def servers(self, queue: str) -> rabbit_calls.Servers:
        """Return the way to ask whether a server listens to ``queue``."""
        return rabbit_calls.Servers(rabbit.driver_of(self._library), queue,
                                    self._ending)

    def reach(self, target: messaging.Target) -> None:
        """Check that calls can be sent, and that ``target`` can take them.

        :raises computed.exception.BrokerUnavailable: the broker is away
        :raises computed.exception.WrongQueue: a queue exists that a server
            of this configuration would not declare
        """
        try:
            found = self.inspect_queues(
                rabbit.queues_of(target.topic, [target.server]))
        except rabbit.Unreachable as error:
            raise errors.unreachable(error) from None
        if found is None:
            return
        for name, difference in found.differences.items():
            if difference:
                raise errors.wrong_queue(found, name)

    def inspect_queues(self, names: abc.Iterable[str]
                       ) -> rabbit.Queues | None:
        """Return which of the queues exist, and how they differ.

        :returns: None: this transport has no queues
        :raises computed.rpc.rabbit.Unreachable: the broker does not answer
        """
        return rabbit.inspect_queues(self._library, names)

    def server_name(self, host: str) -> str:
        """Return the name of one of several servers of a topic on ``host``.

        A broker keeps a queue for each name that it has ever seen. So there
        the name does not change from one start to the next.
        """
        if rabbit.driver_of(self._library):
            return host
        return f'{host}-{os.getpid()}'

    def server(self, target: messaging.Target,
               endpoints: abc.Sequence[typing.Any]) -> rpc_server.Server:
        """Return a server of ``endpoints``; :meth:`start` lets it work.

        Peers can call only methods marked with
        :func:`computed.rpc.endpoint.exposed`.
        """
        return rpc_server.Server(
            self._library, target, dispatch.Dispatcher(
                endpoints, rpc_serializer.BackportingSerializer()))

    def start(self, server: messaging.MessageHandlingServer) -> None:
        """Let a server take calls.

        :raises computed.exception.BrokerUnavailable: the broker refuses what
            the server declares
        :raises computed.exception.ConfigError: no socket can be made
        """
        try:
            server.start()
        except messaging.MessageDeliveryFailure as error:
            raise exception.BrokerUnavailable(
                url=self.address, problem=rabbit.problem_of(error)) from None
        except OSError as error:
            raise exception.ConfigError(
                option='[DEFAULT] transport_url', value=self.address,
                problem=error.strerror,
                remedy='Give a directory that this user may write to.'
            ) from error

    def begin_end(self) -> None:
        """Let calls fail soon from now on if no server is left.

        The servers may be told to end at the same moment. Calls that wait
        already fail, too.
        """
        self._ending.set()

    def close(self) -> None:
        """Close what clients opened, and leave no reply queue behind."""
        rabbit.close(self._library)


def make(conf: cfg.ConfigOpts) -> Transport:
    """Return the transport that a service with ``conf`` uses.

    :raises computed.exception.ConfigError: the URL is not usable
    """
    return Transport(conf)


def _library_transport(conf: cfg.ConfigOpts) -> messaging.Transport:
    url = options.url(conf)
    # None lets the library take the configured one.
    given = url if options.is_standalone(conf) else None
    try:
        options.check(conf, given)
        transport = messaging.get_rpc_transport(
            conf, given, allowed_remote_exmods=ERROR_MODULES)
        rabbit.read_safely(transport)
    except (messaging.InvalidTransportURL, messaging.DriverLoadFailure,
            ImportError, ValueError) as error:
        address = options.shown(url)
        raise exception.ConfigError(
            option='[DEFAULT] transport_url', value=address,
            problem=str(error),
            remedy='Give a URL such as rabbit://user:password@host:5672/ or '
                   'unix:///run/computed/rpc, or none.') from None
    if not (rabbit.driver_of(transport) or
            isinstance(transport._driver, unix_driver.UnixDriver)):
        validation.refuse_blocking('[DEFAULT] transport_url',
                                   options.shown(conf.transport_url))
    return transport
