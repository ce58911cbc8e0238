"""The wire: what travels over oslo.messaging, and how."""

import contextlib
import functools
import os

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_messaging import opts as messaging_opts
from oslo_versionedobjects import base as ovo
from oslo_versionedobjects import exception as ovo_exception

from computed import context as computed_context
from computed import exception
from computed.conf import validation
from computed.objects import base
from computed.objects import versions
from computed.rpc import rabbit
from computed.rpc.unix import driver as unix_driver

LOG = logging.getLogger(__name__)

# Only these modules' errors are made again from what a peer sends.
ERROR_MODULES = ['computed.exception']


def is_standalone(conf):
    """Whether no ``transport_url`` was configured: one host, no broker."""
    register_opts(conf)
    return (conf.get_location('transport_url').location
            is cfg.Locations.opt_default)


def register_opts(conf):
    """Add the messaging library's own options to ``conf``."""
    for group, options in messaging_opts.list_opts():
        conf.register_opts(options, group=group)
    rabbit.set_defaults(conf)


def get_transport(conf):
    """The transport that ``conf`` names; sockets below the state path if
    none.

    :raises computed.exception.ConfigError: the URL is not usable
    """
    url = address(conf) if is_standalone(conf) else None
    try:
        _check_ports(conf, url)
        transport = messaging.get_rpc_transport(
            conf, url, allowed_remote_exmods=ERROR_MODULES)
    except (messaging.InvalidTransportURL, messaging.DriverLoadFailure,
            ImportError, ValueError) as error:
        raise exception.ConfigError(
            option='[DEFAULT] transport_url',
            value=shown(url or conf.transport_url),
            problem=str(error).replace(url or conf.transport_url, shown(
                url or conf.transport_url)),
            remedy='Give a URL such as rabbit://user:password@host:5672/ or '
                   'unix:///run/computed/rpc, or none.') from error
    if not (rabbit.driver_of(transport) or
            isinstance(transport._driver, unix_driver.UnixDriver)):
        validation.refuse_blocking('[DEFAULT] transport_url',
                                   shown(conf.transport_url))
    return transport


def shown(url):
    """``url`` without users and passwords."""
    scheme, colon, rest = url.partition('://')
    head, at, tail = rest.rpartition('@')
    if not at:
        return url
    # What precedes the last @ ends with a password, which may hold anything
    # if it was not quoted; only what stands between an @ and a comma is one
    # of several hosts.
    hosts = [part.rpartition('@')[2] if '@' in part else ''
             for part in head.split(',')[:-1]]
    return scheme + colon + ','.join(
        '***@' + host if host else '***' for host in [*hosts, tail])


def _check_ports(conf, url):
    """Refuse a port that is none, and may be the end of a password."""
    try:
        messaging.TransportURL.parse(conf, url)
    except ValueError:
        raise ValueError(
            'after the last colon of a host there is no number; is each '
            'special character of the password written as %XX') from None


def get_client(transport, target, timeout=None, serializer=None,
               version_cap=None):
    """A client of servers of ``target``; it sends each call once.

    :param version_cap: the highest version of RPC to use; None for any
    """
    rabbit.make_prompt(transport)
    return messaging.get_rpc_client(
        transport, target, timeout=timeout, retry=0, version_cap=version_cap,
        serializer=Serializer() if serializer is None else serializer,
        transport_options=messaging.TransportOptions(at_least_once=True))


def reach(transport, target):
    """See whether calls could be sent, and those to ``target`` be taken.

    :raises computed.exception.BrokerUnavailable: not now
    :raises computed.exception.WrongQueue: its queue is none of ours
    """
    with errors(None, 'connect', 0):
        found = rabbit.inspect_queues(transport, rabbit.queues_of(
            target.topic, [target.server]))
    for name, difference in found.differences.items() if found else ():
        if difference:
            raise wrong_queue(found, name)


def wrong_queue(found, name):
    """The error that says what is wrong with a queue, and what to do.

    :param found: a :class:`computed.rpc.rabbit.Queues`
    """
    return exception.WrongQueue(queue=name, vhost=found.vhost,
                                difference=found.differences[name])


def server_name(transport, host):
    """By which name one of several servers of a topic is told apart.

    A broker keeps a queue for each name it ever heard, so there it must not
    change from one start to the next.
    """
    return host if rabbit.driver_of(transport) else f'{host}-{os.getpid()}'


def get_server(transport, target, endpoints):
    """A server that runs only methods marked :func:`exposed`."""
    return messaging.get_rpc_server(
        transport, target, endpoints, serializer=BackportingSerializer(),
        access_policy=messaging.ExplicitRPCAccessPolicy)


def start(server, conf):
    """Let a server take calls.

    :raises computed.exception.BrokerUnavailable: the broker refuses what it
        declares
    :raises computed.exception.ConfigError: no socket can be made
    """
    try:
        server.start()
    except messaging.MessageDeliveryFailure as error:
        raise exception.BrokerUnavailable(
            url=address(conf), problem=rabbit.problem_of(error)) from None
    except OSError as error:
        raise exception.ConfigError(
            option='[DEFAULT] transport_url', value=address(conf),
            problem=error.strerror,
            remedy='Give a directory that this user may write to.'
        ) from error


def exposed(method):
    """Let peers call ``method``; our own errors are answers, not faults."""
    @messaging.expose
    @messaging.expected_exceptions(exception.ComputedError)
    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        return method(*args, **kwargs)
    return wrapper


@contextlib.contextmanager
def errors(peer_missing, method, timeout):
    """Turn what a call over RPC raises into our own errors.

    :param peer_missing: the error to raise if no server takes the call
    """
    try:
        yield
    except rabbit.Unreachable as error:
        raise exception.BrokerUnavailable(
            url=shown(str(error.url)), problem=error.problem) from None
    except rabbit.NobodyListens as error:
        raise peer_missing from error
    except exception.ComputedError as error:
        raise exception.rebuilt(error) from None
    except messaging.RPCVersionCapError as error:
        raise exception.PinnedTooLow(
            method=method, version=error.version,
            pin=error.version_cap) from error
    except messaging.RemoteError as error:
        first = (str(error.value) or error.exc_type).splitlines()[0]
        raise exception.PeerFailed(
            method=method, error=f'{error.exc_type}: {first}') from None
    except (unix_driver.WentAway, rabbit.Unconfirmed) as error:
        raise exception.OutcomeUnknown(
            method=method, timeout=timeout) from error
    except messaging.MessagingTimeout as error:
        raise exception.OutcomeUnknown(
            method=method, timeout=timeout) from error
    except messaging.MessageDeliveryFailure as error:
        raise peer_missing from error


class Serializer(messaging.Serializer):
    """Carry objects, and the whole context, over the wire.

    An object that is newer than this release is read as far as it is known.
    """

    def __init__(self):
        self._objects = ovo.VersionedObjectSerializer()
        self._objects.OBJ_BASE_CLASS = base.ComputedObject

    def serialize_entity(self, context, entity):
        return self._objects.serialize_entity(context, entity)

    def deserialize_entity(self, context, entity):
        if versions.is_object(entity):
            try:
                return base.ComputedObject.obj_from_primitive(
                    entity, context)
            except (ovo_exception.IncompatibleObjectVersion,
                    ovo_exception.UnsupportedObjectError):
                return self._newer(context, entity)
        if isinstance(entity, list | tuple):
            return [self.deserialize_entity(context, member)
                    for member in entity]
        if isinstance(entity, dict):
            return {key: self.deserialize_entity(context, member)
                    for key, member in entity.items()}
        return entity

    def _newer(self, context, primitive):
        return base.ComputedObject.obj_from_primitive(
            versions.lowered(primitive), context)

    def serialize_context(self, context):
        return context.to_dict()

    def deserialize_context(self, values):
        return computed_context.RequestContext.from_dict(values)


class BackportingSerializer(Serializer):
    """As the other, but a conductor translates what is newer, if it can."""

    def _newer(self, context, primitive):
        conductor = base.ComputedObject.indirection_api
        if conductor is not None and versions.known(
                primitive[versions.NAME]):
            try:
                return conductor.object_backport_versions(
                    context, primitive, versions.tree(primitive))
            except exception.ComputedError as error:
                LOG.info('No conductor translates %(name)s %(version)s; it '
                         'is read as far as it is known: %(error)s', {
                             'name': primitive[versions.NAME],
                             'version': primitive[versions.VERSION],
                             'error': error})
        return super()._newer(context, primitive)


def address(conf):
    """Where calls go, to be shown to people."""
    if is_standalone(conf):
        return 'unix://' + os.path.join(
            os.path.abspath(conf.state_path), 'rpc')
    return shown(conf.transport_url)
