"""How a process without a database reaches it: through a conductor."""

import time

from computed import broker
from computed import context as computed_context
from computed import exception
from computed import rpc
from computed.conductor import manager
from computed.objects import base


class ConductorAPI:
    """The ``indirection_api`` of every object."""

    def __init__(self, transport, url, timeout=None):
        """``url`` is shown in errors; ``timeout`` is in seconds."""
        self._client = rpc.get_client(transport, manager.TARGET, timeout)
        self._servers = broker.Servers(transport, manager.TARGET.topic)
        self._url = url
        self._timeout = timeout or transport.conf.rpc_response_timeout

    def _call(self, context, method, **kwargs):
        missing = exception.ConductorUnavailable(url=self._url)
        with rpc.errors(missing, method, self._timeout), \
                self._servers.reached():
            return self._client.call(context, method, **kwargs)

    def object_class_action_versions(self, context, objname, objmethod,
                                     object_versions, args, kwargs):
        began = time.monotonic()
        answer = self._call(
            context, 'object_class_action_versions', objname=objname,
            objmethod=objmethod, object_versions=object_versions,
            args=args, kwargs=kwargs)
        origin = learn(context, answer, time.monotonic() - began)
        return stamped(answer['result'], context, origin)

    def object_action(self, context, objinst, objmethod, args, kwargs):
        began = time.monotonic()
        answer = self._call(context, 'object_action', objinst=objinst,
                            objmethod=objmethod, args=args, kwargs=kwargs)
        learn(context, answer, time.monotonic() - began)
        return answer['updates'], answer['result']

    def list_replicas(self, context):
        """The state of each database node, as one conductor sees it."""
        return self._call(context, 'list_replicas')


def learn(context, answer, elapsed):
    """Take over from a reply where it was read and what was written.

    :param elapsed: seconds that the call took; the data has aged by that
    :returns: the :class:`computed.context.Origin`, or None
    """
    tokens = answer.get('tokens') or {}
    for host, revision in (tokens.get('revisions') or {}).items():
        context.tokens.advance(tokens.get('incarnation'), host, revision)
    if not answer.get('origin'):
        return None
    origin = computed_context.Origin.from_dict(
        answer['origin']).aged(elapsed)
    context.reads.note(origin)
    return origin


def stamped(result, context, origin):
    """``result``; objects in it know where they were read."""
    for member in base.members(result):
        member._context = context
        member.origin = origin
    return result
