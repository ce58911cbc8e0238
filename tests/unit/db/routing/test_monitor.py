"""The threads that measure, on a router that is none."""

import threading
import types

import pytest

from computed import concurrency
from computed import exception
from computed.db.routing import heartbeat
from computed.db.routing import incarnation
from computed.db.routing import lag
from computed.db.routing import monitor
from computed.logs import outage
from tests.support import waiting


class Replica:
    name = 'r/1'
    health = types.SimpleNamespace(usable=True)

    def __init__(self):
        self.probed = threading.Event()

    def candidate(self, heartbeats):
        return types.SimpleNamespace(age=0.0)

    def probe(self, conductor_id, expected, heartbeats):
        self.expected = expected()
        self.probed.set()


class Router:
    """Takes heartbeats, unless it is ``down``."""

    clock = staticmethod(lambda: 5.0)
    settings = types.SimpleNamespace(
        replica_heartbeat_interval=0.01, replica_probe_interval=0.01)
    down = False

    def __init__(self, *replicas):
        self.replicas = {replica.name: replica for replica in replicas}
        self.primary = types.SimpleNamespace(
            silent=None, identity='p', outage=outage.Outage('a', 'b', 'c'))
        self.incarnation = incarnation.Incarnation()
        self.incarnation.database_id = 'db1'
        self.budget = types.SimpleNamespace(conductors=1)
        self.heartbeats = lag.Heartbeats()
        self.next_heartbeat = self.heartbeats.next
        self.purged = []

    def send_heartbeat(self, conductor_id, number):
        if self.down:
            raise exception.PrimaryUnavailable()
        return heartbeat.Reply(
            'i1', {conductor_id: number, 'c2': number, 'gone': 7}, 5.0)

    def purge_heartbeats(self, dead):
        self.purged.append(dead)


@pytest.fixture
def made(monkeypatch):
    """The names of the threads made; all by the one maker of threads."""
    names, make = [], concurrency.thread
    monkeypatch.setattr(concurrency, 'thread', lambda name, *target: (
        names.append(name), make(name, *target))[1])
    return names


def test_it_adopts_what_the_primary_says_and_probes_each_replica(made):
    replica = Replica()
    router = Router(replica)
    running = monitor.Monitor(router, ('a0',))
    running.start()
    try:
        assert replica.probed.wait(60)
        waiting.wait_for(lambda: router.incarnation.number, 10, 'a heartbeat')
    finally:
        running.stop()
    assert made == ['replica heartbeat', 'probe r/1']
    assert router.primary.silent is False
    assert (router.incarnation.number, router.budget.conductors) == ('i1', 3)
    assert router.purged == []
    assert replica.expected.database_id == 'db1'
    assert replica.expected.outdated == ('a0',)


def test_a_primary_that_takes_no_heartbeat_is_silent():
    router = Router(Replica())
    router.down = True
    running = monitor.Monitor(router, ())
    running.start()
    try:
        waiting.wait_for(lambda: router.primary.silent, 10, 'its silence')
        assert 'does not answer' in router.primary.outage.reason
    finally:
        running.stop()


def test_without_replicas_nothing_is_measured(made):
    monitor.Monitor(Router(), ()).start()
    assert made == []
