"""A host in this process, and the JSON that passes to it and back."""

import contextlib
import types

from computed import context
from computed.periodic import runner
from computed.rpc import dispatch
from computed.rpc import hostapi
from computed.rpc import serializer
from computed.rpc import tickets
from computed.service import task_endpoint
from computed.virt import memory
from tests.support import fixtures
from tests.wire import calls
from tests.wire import loopback


class StandingClock:
    """So no task becomes due by itself, and records are as they were."""

    @staticmethod
    def time():
        return 1767225600.0

    @staticmethod
    def monotonic():
        return 0.0


class AtOnce:
    """In place of a manager's workers: what is begun is done before the reply.
    """

    @staticmethod
    def submit(function, *args):
        function(*args)


@contextlib.contextmanager
def serving(folder):
    """A host whose one instance waits to be built, and is held later.

    Yields ``serve(request)``, see :func:`loopback.answered`.
    """
    conductor = loopback.Conductor(folder)
    conductor.sql("UPDATE instances SET vm_state = 'building'")
    conductor.sql(f"INSERT INTO volumes VALUES ('{calls.OTHER}', 'data', "
                  f"'{fixtures.HOST}', '/srv/data', '2026-01-01 00:00:00')")
    with loopback.host_side(conductor, folder):
        conf = fixtures.make_conf(folder)
        conf.set_override('reclaim_instance_interval', 60, 'tasks')
        manager = fixtures.HostSide.manager(
            types.SimpleNamespace(conf=conf, state=folder),
            memory.MemoryDriver(conf))
        manager.workers = AtOnce()
        tasks = runner.Runner(conf, manager, context.new, folder,
                              StandingClock)
        tasks.start()
        dispatcher = dispatch.Dispatcher(
            [manager, task_endpoint.TaskEndpoint(tasks, 10)],
            serializer.Serializer())

        def serve(request):
            if request['method'] == 'list_regressed':
                manager.claims.settled.hold({fixtures.UUID: 'stopped'})
            return _answered(dispatcher, request)
        try:
            yield serve
        finally:
            tasks.stop()


def _answered(dispatcher, request):
    """As :func:`loopback.answered`, with a ticket of this dispatcher."""
    args = request['args']
    if tickets.ARGUMENT in args:
        fresh = loopback.answered(dispatcher, {
            **request, 'method': 'get_ticket', 'args': {}})
        args[tickets.ARGUMENT] |= fresh
    return loopback.answered(dispatcher, request)


def made(folder):
    """``[(request, reply)]`` of every call to a host."""
    with serving(folder) as serve:
        transport = loopback.Transport(folder, serve)
        calls.ask_host(hostapi.HostAPI(transport))
    [client] = transport.clients
    return client.seen
