"""RPC over a network that delays, loses, repeats and cuts.

Serializers, dispatchers, access policy and errors are those of the product.
Only the way between two processes is this module's.
"""

import contextlib
import json
import types

import oslo_messaging as messaging
from oslo_messaging._drivers import common

from computed.rpc import dispatch
from computed.rpc import failures
from computed.rpc import rabbit
from computed.rpc import serializer as rpc_serializer
from computed.rpc import transport as rpc_transport
from tests.schedules import hub


class Network:
    """What is between the processes of a schedule.

    :ivar servers: ``{topic: [server]}``
    :ivar cut: pairs of processes that cannot reach each other
    """

    def __init__(self, random, weather):
        self.random, self.weather = random, weather
        self.servers = {}
        self.cut = set()
        self.calls = 0

    def delay(self):
        """Return the seconds that a message takes: 0.3 ms to 0.1 s."""
        return 10 ** (self.random.random() * 2.5 - 3.5)

    def are_apart(self, one, other):
        return bool(self.cut) and frozenset((one, other)) in self.cut

    def find(self, topic, name):
        """Return a server that listens, or None; any if ``name`` is None."""
        found = [server for server in self.servers.get(topic, ())
                 if server.process.alive and name in (None, server.name)]
        if not found:
            return None
        return found[int(self.random.random() * len(found))]


class Transport:
    """In place of :class:`computed.rpc.transport.Transport`.

    :ivar delivered_twice: whether the last request was
    """

    def __init__(self, conf, network):
        self.conf, self.network = conf, network
        self.delivered_twice = False
        self.address = 'simulated:'

    def client(self, target, timeout=None, serializer=None, version_cap=None):
        return Client(self, target,
                      timeout or self.conf.rpc_response_timeout,
                      serializer or rpc_serializer.Serializer())

    def servers(self, queue):
        return types.SimpleNamespace(reached=contextlib.nullcontext)

    def reach(self, target):
        pass

    def server_name(self, host):
        return f'{host}-{hub.running.current.process.name}'

    def server(self, target, endpoints):
        return Server(self.network, target, dispatch.Dispatcher(
            endpoints, rpc_serializer.BackportingSerializer()))

    def start(self, server):
        self.network.servers.setdefault(server.topic, []).append(server)

    def begin_end(self):
        pass

    close = begin_end


class Client:
    """In place of the library's ``RPCClient``."""

    def __init__(self, transport, target, timeout, serializer):
        self._transport, self._target = transport, target
        self._timeout, self._serializer = timeout, serializer

    def prepare(self, server=None, version=None, timeout=None):
        target = self._target(**{
            name: value for name, value in (('server', server),
                                            ('version', version)) if value})
        return Client(self._transport, target, timeout or self._timeout,
                      self._serializer)

    def call(self, ctxt, method, **arguments):
        here, network = hub.running, self._transport.network
        here.point()
        request = json.dumps({
            'context': self._serializer.serialize_context(ctxt),
            'method': method, 'version': self._target.version,
            'args': {name: self._serializer.serialize_entity(ctxt, value)
                     for name, value in arguments.items()}})
        kind, value = self._answer(here, network, method, request)
        here.point()
        if kind == 'error':
            raise failures.rebuilt(value, rpc_transport.ERROR_MODULES)
        return self._serializer.deserialize_entity(ctxt, json.loads(value))

    def _answer(self, here, network, method, request):
        server = network.find(self._target.topic, self._target.server)
        if server is None:
            here.sleep(0.01)
            raise rabbit.NobodyListens(self._target.topic)
        network.calls += 1
        box = Box(here.current)
        self._transport.delivered_twice = False
        if not (network.are_apart(box.process, server.process) or
                network.weather.happens('lose_request')):
            late = (20 + network.weather.within(40.0)
                    if network.weather.happens('late') else 0.0)
            here.after(network.delay() + late,
                       lambda: server.arrive(request, box))
            if (self._target.topic == 'conductor' and
                    network.weather.happens('twice')):
                other = network.find('conductor', None)
                self._transport.delivered_twice = True
                here.after(network.delay() * 5,
                           lambda: other.arrive(request, box))
        until = here.now + self._timeout
        while box.answer is None:
            if not here.block(until) and box.answer is None:
                box.waiting = False
                raise messaging.MessagingTimeout(f'no reply to {method}')
        return box.answer


class Box:
    """Where a caller waits for the answer to one call."""

    def __init__(self, task):
        self.task, self.process = task, task.process
        self.answer, self.waiting = None, True

    def deliver(self, answer):
        if self.answer is None and self.waiting:
            self.answer = answer
            self.process.hub.wake(self.task)


class Server:
    """In place of the library's ``RPCServer``; each request has a thread."""

    def __init__(self, network, target, dispatcher):
        self.process = hub.running.current.process
        self.topic, self.name = target.topic, target.server
        self._network, self._dispatcher = network, dispatcher
        self.endpoints = dispatcher.endpoints
        self._stopped = False

    def stop(self):
        self._stopped = True
        self._network.servers[self.topic].remove(self)

    def finish(self):
        pass

    def arrive(self, request, box):
        if self.process.alive and not self._stopped:
            hub.running.spawn(self.process, self._serve, json.loads(request),
                              box, name=f'rpc {self.topic}')

    def _serve(self, request, box):
        here, network = hub.running, self._network
        here.point('dispatch')
        try:
            reply = self._dispatcher.dispatch(types.SimpleNamespace(
                ctxt=request['context'], message=request,
                client_timeout=None))
            answer = 'result', json.dumps(reply)
        except messaging.ExpectedException as error:
            answer = 'error', common.serialize_remote_exception(
                error.exc_info)
        here.point()
        if not (network.are_apart(self.process, box.process) or
                network.weather.happens('lose_reply')):
            here.after(network.delay(), lambda: box.deliver(answer))
