"""How old a request can be that a process reads from its socket."""

import contextlib
import types

import pytest
from oslo_messaging._drivers import amqpdriver
from oslo_messaging._drivers import common
from oslo_messaging._drivers import impl_rabbit

from computed import clock
from computed.rpc import rabbit_server


class Socket:
    """In place of the library's connection: a clock, and what comes when.

    Each entry of ``script`` is ``(seconds, something came)``.
    """

    def __init__(self):
        self.now, self.channel, self.script = 1000.0, object(), []
        self.limits = []

    def monotonic(self):
        return self.now

    def consume(self, timeout):
        seconds, came = self.script.pop(0)
        self.limits.append(timeout)
        self.now += seconds
        if not came:
            raise common.Timeout


@pytest.fixture
def socket():
    found, before = Socket(), clock._source
    clock.use(types.SimpleNamespace(monotonic=found.monotonic,
                                    time=lambda: 0.0))
    yield found
    clock.use(before)


@pytest.fixture
def watched(socket):
    return rabbit_server.WatchedConnection(socket)


def read(watched, socket, *script):
    socket.script = list(script)
    while socket.script:
        with contextlib.suppress(common.Timeout):
            watched.consume(5)


def test_what_comes_to_a_process_that_runs_has_just_come(watched, socket):
    read(watched, socket, (0.5, False), (0.5, False), (0.3, True))
    assert watched.arrived() == socket.now
    assert set(socket.limits) == {rabbit_server.SLICE}


@pytest.mark.parametrize('asleep', [
    [(40, True)],                       # in the middle of a wait
    [(40, False), (0, True)],           # the limit of the wait passed first
    [(40, True), (0.1, True)],          # two were there; this is the second
])
def test_what_is_read_after_a_sleep_may_be_as_old_as_the_sleep(
        watched, socket, asleep):
    read(watched, socket, (0.5, False))
    began = socket.now
    read(watched, socket, *asleep)
    assert watched.arrived() == began


def test_once_the_socket_was_empty_what_comes_is_new(watched, socket):
    read(watched, socket, (40, True), (0.1, True), (0.5, False), (0.1, True))
    assert watched.arrived() == socket.now


def test_a_server_that_is_never_idle_reads_up_all_the_same(watched, socket):
    """Else it would drop each request after one sleep, until it is idle."""
    read(watched, socket, (0.1, True))
    began = socket.now
    read(watched, socket, (40, True), *[(0.1, True)] * 390)
    assert watched.arrived() == began
    read(watched, socket, *[(0.1, True)] * 20)
    assert watched.arrived() == socket.now


def test_a_server_that_may_be_behind_looks_often_if_the_socket_is_empty(
        watched, socket):
    read(watched, socket, (40, True), (0.1, True), (0.05, False))
    assert socket.limits[1:] == [rabbit_server.GLANCE] * 2
    read(watched, socket, (0.1, True))
    assert socket.limits[-1] == rabbit_server.SLICE
    assert watched.arrived() == socket.now


def test_a_sleep_between_two_waits_counts_too(watched, socket):
    read(watched, socket, (0.5, False))
    began = socket.now
    socket.now += 40
    read(watched, socket, (0.0, True))
    assert watched.arrived() == began


def test_nothing_waited_in_a_new_socket(watched, socket):
    """It took long to reach the broker again; its queue has limits."""
    read(watched, socket, (40, True))
    socket.channel = object()
    assert watched.arrived() == socket.now


@pytest.mark.parametrize('expiration, expected', [
    ('10000', 110.0), (250, 100.25), (None, None), ('soon', None)])
def test_the_deadline_is_when_the_caller_stops_to_wait(expiration, expected):
    assert rabbit_server.deadline(expiration, 100.0) == expected


def test_the_library_still_has_what_a_server_needs():
    """A new release of the library must keep the private names in use."""
    listener = amqpdriver.RpcAMQPListener(
        types.SimpleNamespace(prefetch_size=0),
        types.SimpleNamespace(channel=None))
    assert listener.conn.channel is None
    assert listener.message_cls is amqpdriver.AMQPIncomingMessage
    assert amqpdriver.AMQPIncomingMessage.__init__.__code__.co_varnames[:4] \
        == ('self', 'listener', 'ctxt', 'message')
    assert impl_rabbit.RabbitMessage.__init__.__code__.co_names[-1] == (
        '_raw_message')
    adapter = types.SimpleNamespace(_poll_style_listener=listener)
    rabbit_server.improved(adapter)
    assert listener.message_cls is rabbit_server.Incoming
    assert isinstance(listener.conn, rabbit_server.WatchedConnection)
