"""The broker lives and cannot be reached: nothing passes, nothing breaks."""

import time

import pytest

from computed import context
from computed import exception
from computed.claims import journal
from computed.claims import recovery
from computed.rpc import hostapi
from computed.virt import memory
from tests import servers
from tests.support import fixtures
from tests.support import load as loads
from tests.support import waiting


@pytest.fixture
def proxy(cell):
    """Stands before the broker."""
    with servers.Proxy(cell.rabbitmq.port) as found:
        yield found


def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(
        cell, proxy, tmp_path):
    """What was sent before arrives after: late, and perhaps given up."""
    cell.conductors()
    with fixtures.HostSide(
            cell.folder, tmp_path, rpc_response_timeout=5,
            transport_url=cell.rabbitmq.url(cell.vhost, port=proxy.port)
            ) as side:
        manager = side.manager(memory.MemoryDriver(side.conf))
        with loads.Load(manager.claims, late=True) as load:
            waiting.wait_for(load.all_go_on(), 20, 'the load under way')
            # A slow machine may have put off a tolerant read before.
            before = load.trouble
            proxy.hold()
            waiting.wait_for(
                lambda: load.trouble > before and
                proxy.held[servers.TO_SERVER] > 0, 60, 'failures')
            proxy.release()
            waiting.wait_for(load.all_go_on(), 60, 'the load going on')
        assert load.wrong(dict(cell.sql('SELECT uuid, name FROM instances'))
                          ) == {}
        recovery.replay(manager.claims, context.new())
    assert journal.Journal(tmp_path / 'claims').entries() == []
    assert cell.sql('SELECT claim_id FROM instances WHERE claim_id'
                    ' IS NOT NULL') == []


def test_a_caller_that_is_cut_off_is_not_held_for_long(
        cell, proxy, tmp_path):
    """Not by the question whether anybody listens, which comes first."""
    cell.conductors()
    with fixtures.HostSide(
            cell.folder, tmp_path, transport_url=cell.rabbitmq.url(
                cell.vhost, port=proxy.port)) as side:
        assert side.conductor.list_replicas(context.new())
        proxy.hold()
        began = time.monotonic()
        with pytest.raises(exception.BrokerUnavailable):
            hostapi.HostAPI(side.transport).list_tasks(context.new(), 'h1')
        assert time.monotonic() - began < 40
        assert proxy.held[servers.TO_SERVER] > 0
        proxy.release()
        assert side.conductor.list_replicas(context.new())
