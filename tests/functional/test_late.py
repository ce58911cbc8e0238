"""Requests that wait behind busy workers until their callers give up."""

import threading
from concurrent import futures

import pytest

from computed import context
from computed import exception
from computed.rpc import endpoint
from computed.rpc import hostapi
from computed.rpc import transport
from tests.support import fixtures

TARGET = hostapi.target('h1')
UUID = fixtures.UUID


class Host:
    """Its tickets come late, by the seconds in ``late``."""

    target = TARGET

    def __init__(self):
        self.done = []
        self.busy, self.released = threading.Event(), threading.Event()
        self.late, self.server = [], None

    @endpoint.exposed
    def get_ticket(self, context) -> dict:
        ticket = self.server.dispatcher._tickets.get_ticket(context)
        if self.late:
            ticket['issued'] -= self.late.pop()
        return ticket

    @endpoint.exposed
    def hold(self, context) -> None:
        self.busy.set()
        self.released.wait(60)

    @endpoint.exposed
    def get_guest(self, context, uuid: str) -> dict:
        self.done.append('looked')
        return {}

    @endpoint.exposed_act
    def stop_instance(self, context, uuid: str) -> None:
        self.done.append('stopped')
        self.wanted_until = context.wanted_until


@pytest.fixture(autouse=True)
def brisk_workers(monkeypatch):
    """Idle workers of a server notice within 20 ms that it ended, not 1 s."""
    monkeypatch.setattr('futurist._thread.ThreadWorker.MAX_IDLE_FOR', 0.02)


@pytest.fixture
def made(tmp_path):
    found = transport.make(fixtures.make_conf(
        tmp_path, executor_thread_pool_size=1))
    yield found
    found.close()


@pytest.fixture
def host(made):
    found = Host()
    server = found.server = made.server(TARGET, [found])
    made.start(server)
    yield found
    found.released.set()
    server.stop()
    server.wait()


@pytest.fixture
def busy(made, host):
    """Its only worker is busy until the block ends."""
    with futures.ThreadPoolExecutor(1) as executor:
        call = executor.submit(
            made.client(TARGET, timeout=60).prepare(server='h1').call,
            context.new(), 'hold')
        assert host.busy.wait(60)
        yield
        host.released.set()
        call.result(60)


def hosts(made, timeout):
    made.conf.set_override('rpc_response_timeout', timeout)
    return hostapi.HostAPI(made)


def test_they_are_not_begun(made, host, busy):
    with pytest.raises(exception.OutcomeUnknown):
        hosts(made, 2).get_guest(context.new(), 'h1', UUID)
    host.released.set()
    # There is one worker, so the other request has had its turn.
    hosts(made, 60).operate(context.new(), 'h1', 'stop', UUID)
    assert host.done == ['stopped']


def test_work_is_not_even_asked_for(made, host, busy):
    """So the user knows that it was not done."""
    with pytest.raises(exception.HostUnavailable):
        hosts(made, 2).operate(context.new(), 'h1', 'stop', UUID)
    host.released.set()
    assert hosts(made, 60).get_guest(context.new(), 'h1', UUID) == {}
    assert host.done == ['looked']


def test_work_whose_ticket_was_under_way_for_too_long_is_asked_for_again(
        made, host):
    host.late = [3600, 3600]
    hosts(made, 60).operate(context.new(), 'h1', 'stop', UUID)
    assert (host.done, host.late) == (['stopped'], [])
    host.late = [3600] * (hostapi.TRIES + 1)
    with pytest.raises(exception.RequestExpired):
        hosts(made, 60).operate(context.new(), 'h1', 'stop', UUID)
    assert (host.done, host.late) == (['stopped'], [3600])


def test_the_calls_to_one_host_share_what_is_known_of_its_servers(
        made, host, monkeypatch):
    asked, servers = [], made.servers
    monkeypatch.setattr(made, 'servers', lambda queue: (
        asked.append(queue) or servers(queue)))
    api = hosts(made, 60)
    for _ in range(2):
        api.operate(context.new(), 'h1', 'stop', UUID)
    assert asked == ['compute.h1']


def test_work_that_a_broker_kept_for_too_long_is_refused(made, host):
    """The clock of the host tells, whatever lies between the two."""
    client = made.client(TARGET, timeout=60).prepare(server='h1')
    ticket = client.call(context.new(), 'get_ticket')
    with pytest.raises(exception.RequestExpired):
        client.call(context.new(), 'stop_instance', uuid=UUID,
                    ticket={**ticket, 'valid_for': 0})
    assert host.done == []
    client.call(context.new(), 'stop_instance', uuid=UUID,
                ticket={**ticket, 'valid_for': 600})
    assert host.done == ['stopped']
    assert host.wanted_until == ticket['issued'] + 600
