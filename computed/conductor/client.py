"""The client of hosts and commands, which have no database of their own.

They reach it through a conductor.
"""

import contextlib
import typing
from collections import abc

import oslo_messaging as messaging

from computed import clock
from computed import context as computed_context
from computed import exception
from computed.objects import base
from computed.rpc import errors
from computed.rpc import serializer
from computed.rpc import transport as transport_module

Context = computed_context.RequestContext

# The oldest version that has what nearly all calls need.
TARGET = messaging.Target(topic='conductor', version='1.0')


class ConductorAPI:
    """Runs objects' methods in any conductor of the topic.

    See :class:`computed.objects.base.Conductor`. Each method raises:

    :raises computed.exception.ConductorUnavailable: no conductor listens
    :raises computed.exception.BrokerUnavailable: the broker does not answer
    :raises computed.exception.OutcomeUnknown: no reply came in time
    :raises computed.exception.WrongDatabase: the conductor has another
        database than ``database_id``; it has read and written nothing

    :ivar database_id: the uuid of the database that the caller belongs to;
        None: not known, or any
    """

    database_id: str | None = None

    def __init__(self, transport: transport_module.Transport,
                 timeout: float | None = None) -> None:
        """:param timeout: seconds; None: ``rpc_response_timeout``"""
        def client(serializer: messaging.Serializer) -> typing.Any:
            return transport.client(
                TARGET, timeout, serializer,
                transport.conf.upgrade_levels.conductor)
        self._client = client(serializer.BackportingSerializer())
        # The reply with a translation needs no translation itself.
        self._translator = client(
            serializer.Serializer()).prepare(version='1.1')
        self._listener = self._client.prepare(version='1.2')
        self._servers = transport.servers(TARGET.topic)
        self._url = transport.address
        self._timeout = timeout or transport.conf.rpc_response_timeout

    @contextlib.contextmanager
    def _calling(self, context: Context, method: str) -> abc.Iterator[None]:
        """Say for which database a call is; turn what it raises into ours."""
        context.database_id = self.database_id
        missing = exception.ConductorUnavailable(url=self._url)
        with errors.translated(missing, method, self._timeout):
            yield

    def object_class_action_versions(
            self, context: Context, objname: str, objmethod: str,
            object_versions: base.Versions, args: tuple,
            kwargs: dict[str, typing.Any]) -> typing.Any:
        """Run a class method; return its result."""
        method, began = 'object_class_action_versions', clock.monotonic()
        try:
            with self._calling(context, method), self._servers.reached():
                answer = self._client.call(
                    context, method, objname=objname, objmethod=objmethod,
                    object_versions=object_versions, args=args,
                    kwargs=kwargs)
        except exception.ComputedError as error:
            adopt_reply(context, {'origin': error.kwargs.pop('origin', None)},
                        began)
            raise
        origin = adopt_reply(context, answer, began)
        return set_origin(answer['result'], context, origin)

    def object_action(
            self, context: Context, objinst: base.ComputedObject,
            objmethod: str, args: tuple, kwargs: dict[str, typing.Any]
            ) -> tuple[dict[str, typing.Any], typing.Any]:
        """Run a method of ``objinst``; return changed fields and result."""
        method, began = 'object_action', clock.monotonic()
        with self._calling(context, method), self._servers.reached():
            answer = self._client.call(
                context, method, objinst=objinst, objmethod=objmethod,
                args=args, kwargs=kwargs)
        adopt_reply(context, answer, began)
        return answer['updates'], answer['result']

    def object_backport_versions(
            self, context: Context, objinst: typing.Any,
            object_versions: base.Versions) -> base.ComputedObject:
        """Let a conductor translate an object of a newer release.

        :param objinst: the object as it came over the wire
        :param object_versions: ``{name: version}`` that this end knows
        """
        method = 'object_backport_versions'
        with self._calling(context, method):
            return self._translator.call(
                context, method, objinst=objinst,
                object_versions=object_versions)

    def sync_instance_info(
            self, context: Context, host: str, version: int, count: int,
            digest: str, uuids: list[str] | None = None) -> bool:
        """Tell one conductor which instances a host has.

        :returns: whether it knows them; if not, tell it their uuids
        """
        method = 'sync_instance_info'
        with self._calling(context, method), self._servers.reached():
            return self._listener.call(
                context, method, host=host, version=version, count=count,
                digest=digest, uuids=uuids)

    def list_replicas(self, context: Context) -> list[dict[str, typing.Any]]:
        """Return the state of each database node, as one conductor sees it.
        """
        method = 'list_replicas'
        with self._calling(context, method), self._servers.reached():
            return self._client.call(context, method)


def adopt_reply(context: Context, answer: dict[str, typing.Any],
                began: float) -> computed_context.Origin | None:
    """Note in ``context`` what a reply says was read and written.

    :param began: monotonic seconds of the call; the data has aged since
    :returns: the origin of what was read, or None
    :raises ValueError: the tokens in the reply are malformed. Without them a
        later read could miss what this call has written.
    """
    context.tokens.adopt(computed_context.Tokens.from_dict(
        answer.get('tokens') or {}))
    if not answer.get('origin'):
        return None
    now = clock.monotonic()
    origin = computed_context.Origin.from_dict(
        answer['origin']).aged(now - began)
    context.reads.note(origin, now)
    return origin


def set_origin(result: typing.Any, context: Context,
               origin: computed_context.Origin | None) -> typing.Any:
    """Set where the objects in ``result`` were read; return ``result``."""
    for member in base.members(result):
        member._context = context
        member.origin = origin
    return result
