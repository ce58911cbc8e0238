"""The broker lives and cannot be reached: nothing passes, nothing breaks."""

import pytest

from computed import context
from computed import journal
from computed.virt import memory
from tests import fixtures
from tests import load as loads
from tests import servers
from tests import waiting


@pytest.fixture
def proxy(cell):
    """Stands before the broker."""
    with servers.Proxy(cell.rabbitmq.port) as found:
        yield found


@pytest.mark.parametrize('cut_off', ['host', 'conductor'])
def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(
        cell, proxy, tmp_path, cut_off):
    """What was sent before arrives after: late, and perhaps given up."""
    urls = dict.fromkeys(('host', 'conductor'), cell.url)
    urls[cut_off] = cell.rabbitmq.url(cell.vhost, port=proxy.port)
    cell.conductors(url=urls['conductor'])
    with fixtures.HostSide(
            cell.folder, tmp_path, transport_url=urls['host'],
            rpc_response_timeout=5) as side:
        manager = side.manager(memory.MemoryDriver(side.conf))
        with loads.Load(manager.claims, late=True) as load:
            waiting.wait_for(load.all_go_on(), 20, 'the load under way')
            proxy.hold()
            # What is asked of the broker itself waits for its heartbeats.
            waiting.wait_for(
                lambda: load.failures or load.strict_failures or
                load.put_off, 90, 'failures')
            assert proxy.held[servers.TO_SERVER] > 0
            proxy.release()
            waiting.wait_for(load.all_go_on(), 60, 'the load going on')
        assert load.wrong(dict(cell.sql('SELECT uuid, name FROM instances'))
                          ) == {}
        manager.claims.replay(context.new())
    assert journal.Journal(tmp_path / 'claims').entries() == []
    assert cell.sql('SELECT claim_id FROM instances WHERE claim_id'
                    ' IS NOT NULL') == []
