"""Both ends of RPC in one process, and the JSON that passes between them."""

import contextlib
import functools
import json
import types
from unittest import mock

import oslo_messaging as messaging

from computed import context
from computed import objects
from computed.conductor import client as conductor_client
from computed.conductor import manager
from computed.db.cell import migration
from computed.db.cell.database import cell
from computed.db.routing import incarnation
from computed.objects import base
from computed.rpc import dispatch
from computed.rpc import serializer
from tests.support import fixtures
from tests.support import many
from tests.wire import calls


class Client:
    """In place of an ``RPCClient``.

    :param serve: the reply to a request, both as JSON has them
    :ivar seen: ``[(request, reply)]``
    """

    def __init__(self, serve, serializer, version='1.0'):
        self.serializer = serializer
        self.seen = []
        self._serve = serve
        self._version = version

    def prepare(self, server=None, version=None, timeout=None):
        self._version = version or self._version
        return self

    def call(self, ctxt, method, **kwargs):
        request = json.loads(json.dumps({
            'context': self.serializer.serialize_context(ctxt),
            'method': method, 'version': self._version,
            'args': {name: self.serializer.serialize_entity(ctxt, value)
                     for name, value in kwargs.items()}}))
        reply = self._serve(request)
        self.seen.append((request, reply))
        return self.serializer.deserialize_entity(ctxt, reply)


class Transport:
    """In place of a :class:`computed.rpc.transport.Transport`.

    :ivar clients: those it has made
    """

    address = 'loopback'

    def __init__(self, folder, serve):
        self.conf = fixtures.make_conf(folder)
        self.clients = []
        self._serve = serve

    def client(self, target, timeout=None, serializer=None,
               version_cap=None):
        self.clients.append(Client(self._serve, serializer, target.version))
        return self.clients[-1]

    def servers(self, queue):
        return types.SimpleNamespace(reached=contextlib.nullcontext)


class Conductor:
    """A conductor on a database as :func:`calls.make` expects it.

    :ivar sql: runs a statement on it, as from outside
    """

    def __init__(self, folder):
        objects.register_all()
        path = folder / 'wire.sqlite'
        url = fixtures.SqlitePair.url(path)
        migration.sync(url)
        sql = fixtures.SqlitePair.sql
        sql(path, 'UPDATE database_identity SET uuid = ?, incarnation = ?, '
            "lineage = 'file'", calls.DATABASE, calls.LIFE)
        for host in (fixtures.HOST, calls.SILENT):
            sql(path, 'INSERT INTO hosts (name, revision, created_at) VALUES '
                "(?, 7, '2026-01-01 00:00:00.000000')", host)
        fixtures.SqlitePair.add_instance(
            types.SimpleNamespace(sql=sql), path)
        self.router = many.route(url)
        self.router.incarnation.database_id = calls.DATABASE
        self.router.incarnation.adopt(calls.LIFE)
        self.sql = functools.partial(sql, path)
        self._dispatcher = dispatch.Dispatcher(
            [manager.ConductorManager(self.router.status)],
            serializer.Serializer())

    def serve(self, request):
        """See :func:`answered`."""
        outside = base.use_conductor(None)
        try:
            # A request that was recorded names the revision of a row.
            with (mock.patch.object(incarnation, 'MULTIPLES', [1]),
                  mock.patch.object(cell, 'deliver', told)):
                return answered(self._dispatcher, request)
        finally:
            base.use_conductor(outside)


def told(facts):
    """Consumers hear of all."""
    return [True for _ in facts]


def answered(dispatcher, request):
    """The reply to ``request``; raises what a peer would be sent."""
    try:
        reply = dispatcher.dispatch(types.SimpleNamespace(
            ctxt=request['context'], message=request, client_timeout=0))
    except messaging.ExpectedException as error:
        raise error.exc_info[1] from None
    return json.loads(json.dumps(reply))


@contextlib.contextmanager
def host_side(conductor, folder):
    """This process as a host of ``conductor``, while the block lasts."""
    api = conductor_client.ConductorAPI(
        Transport(folder, conductor.serve))
    base.use_conductor(api)
    try:
        yield api
    finally:
        base.use_conductor(None)


def called(recorded):
    """The remotable methods in ``calls``; see :func:`calls.remotable`."""
    found = set()
    for call in recorded['calls']:
        args = call['request']['args']
        if 'objmethod' in args:
            name = args.get('objname') or args['objinst'][
                'computed_object.name']
            found.add(f'{name}.{args["objmethod"]}')
    return found


def objects_in(value):
    """Every object in ``value``, and those in it."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        if 'computed_object.name' in value:
            yield value
        for member in value.values():
            yield from objects_in(member)


def understood(values):
    """A context, as this release understands it."""
    found = context.RequestContext.from_dict(values)
    return found.lag_tolerant, found.max_staleness, found.tokens.to_dict()
