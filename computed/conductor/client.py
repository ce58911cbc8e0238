"""How a process without a database reaches it: through a conductor."""

import time

import oslo_messaging as messaging

from computed import context as computed_context
from computed import exception
from computed.objects import base
from computed.rpc import errors
from computed.rpc import serializer
from computed.rpc import transport as transport_module

# The oldest that has what nearly all calls need.
TARGET = messaging.Target(topic='conductor', version='1.0')


class ConductorAPI:
    """The ``indirection_api`` of every object."""

    def __init__(self, transport: transport_module.Transport,
                 timeout: float | None = None) -> None:
        """:param timeout: seconds; None: ``rpc_response_timeout``"""
        def client(serializer):
            return transport.client(
                TARGET, timeout, serializer,
                transport.conf.upgrade_levels.conductor)
        self._client = client(serializer.BackportingSerializer())
        # What a conductor has translated it need not translate again.
        self._translator = client(
            serializer.Serializer()).prepare(version='1.1')
        self._servers = transport.servers(TARGET.topic)
        self._url = transport.address
        self._timeout = timeout or transport.conf.rpc_response_timeout

    def _call(self, context, method, **kwargs):
        missing = exception.ConductorUnavailable(url=self._url)
        with errors.translated(missing, method, self._timeout), \
                self._servers.reached():
            return self._client.call(context, method, **kwargs)

    def object_class_action_versions(self, context, objname, objmethod,
                                     object_versions, args, kwargs):
        began = time.monotonic()
        try:
            answer = self._call(
                context, 'object_class_action_versions', objname=objname,
                objmethod=objmethod, object_versions=object_versions,
                args=args, kwargs=kwargs)
        except exception.ComputedError as error:
            adopt_reply(context, {'origin': error.kwargs.pop('origin', None)},
                  began)
            raise
        origin = adopt_reply(context, answer, began)
        return set_origin(answer['result'], context, origin)

    def object_action(self, context, objinst, objmethod, args, kwargs):
        began = time.monotonic()
        answer = self._call(context, 'object_action', objinst=objinst,
                            objmethod=objmethod, args=args, kwargs=kwargs)
        adopt_reply(context, answer, began)
        return answer['updates'], answer['result']

    def object_backport_versions(self, context, objinst, object_versions):
        """An object that is newer than this release, made as old as it is.

        :param objinst: as it came over the wire
        :param object_versions: ``{name: version}`` that is understood here
        """
        method = 'object_backport_versions'
        missing = exception.ConductorUnavailable(url=self._url)
        with errors.translated(missing, method, self._timeout):
            return self._translator.call(
                context, method, objinst=objinst,
                object_versions=object_versions)

    def list_replicas(self, context):
        """The state of each database node, as one conductor sees it."""
        return self._call(context, 'list_replicas')


def adopt_reply(context, answer, began):
    """Take over from a reply where it was read and what was written.

    :param began: monotonic seconds; the data has aged since
    :returns: the :class:`computed.context.Origin`, or None
    """
    tokens = answer.get('tokens') or {}
    for host, revision in (tokens.get('revisions') or {}).items():
        context.tokens.advance(tokens.get('cell'), tokens.get('incarnation'),
                               host, revision)
    if not answer.get('origin'):
        return None
    now = time.monotonic()
    origin = computed_context.Origin.from_dict(
        answer['origin']).aged(now - began)
    context.reads.note(origin, now)
    return origin


def set_origin(result, context, origin):
    """``result``; objects in it know where they were read."""
    for member in base.members(result):
        member._context = context
        member.origin = origin
    return result
