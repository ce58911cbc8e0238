"""A host service in this process, in the surroundings that a test gives."""

import functools

import pytest

from computed import concurrency
from computed import context
from computed import exception
from computed import files
from computed.rpc import hostapi
from computed.rpc import transport
from computed.service import host
from computed.service import surroundings
from computed.virt import memory
from tests.support import fixtures
from tests.support import hanging
from tests.support import waiting


class Transport(transport.Transport):
    """One that keeps a list of what it was used for."""

    def __init__(self, used, conf):
        super().__init__(conf)
        self._used = used

    def client(self, target, *args, **kwargs):
        self._used.append(f'client of {target.topic}')
        return super().client(target, *args, **kwargs)

    def start(self, server):
        self._used.append('server')
        super().start(server)

    def close(self):
        self._used.append('closed')
        super().close()


@pytest.fixture
def told():
    return []


@pytest.fixture
def around(tmp_path, told):
    (tmp_path / 'boot_id').write_text(f'{fixtures.BOOT}\n')
    return surroundings.Surroundings(
        make_transport=functools.partial(Transport, told),
        boot_id_path=tmp_path / 'boot_id',
        load_tasks=lambda conf, builtin: {},
        load_driver=lambda conf: memory.MemoryDriver,
        hello=lambda conf, instances: told.append(
            f'hello {[one.uuid for one in instances]}'),
        goodbye=lambda conf, calls, owner: told.append(
            f'goodbye {owner.host}'))


def test_a_service_uses_nothing_but_what_it_is_given(
        host_side, tmp_path, around, told):
    host_side.conf.set_override('state_path', str(tmp_path / 'state'))
    service = host.HostService(host_side.conf, surroundings=around)
    service.start()
    try:
        assert service.identity.host_boot_id == fixtures.BOOT
        api = hostapi.HostAPI(host_side.transport)
        assert api.list_tasks(context.new(), fixtures.HOST) == []
    finally:
        service.stop()
    assert told == ['client of conductor'] * 2 + [
        'server', f"hello ['{fixtures.UUID}']", f'goodbye {fixtures.HOST}',
        'closed']


def test_a_service_that_is_told_to_end_starts_no_more_parts(
        host_side, tmp_path, around, told):
    class Driver(memory.MemoryDriver):
        def init_host(self, owner):
            told.append('waits')
            raise exception.DriverNotReady(reason='it has no socket')

    host_side.conf.set_override('state_path', str(tmp_path / 'state'))
    service = host.HostService(host_side.conf, surroundings=around)
    around.load_driver = lambda conf: Driver
    starting = concurrency.thread('start', service.start)
    starting.start()
    waiting.wait_for(lambda: 'waits' in told, 20)
    service.stop()
    starting.join(60)
    assert not starting.is_alive()
    assert set(told) == {'client of conductor', 'waits', 'closed'}
    assert service.manager is None


def test_a_service_reports_while_it_waits_for_its_driver(
        host_side, tmp_path, around, pair):
    """Another service takes a host that is silent for long."""
    def heartbeats():
        return pair.sql(pair.primary, 'SELECT heartbeat FROM services')[0][0]

    class Driver(memory.MemoryDriver):
        def init_host(self, owner):
            if heartbeats() < 3:
                raise exception.DriverNotReady(reason='it has no socket')
            super().init_host(owner)

    host_side.conf.set_override('state_path', str(tmp_path / 'state'))
    host_side.conf.set_override('report_interval', 1)
    service = host.HostService(host_side.conf, surroundings=around)
    around.load_driver = lambda conf: Driver
    starting = concurrency.thread('start', service.start)
    starting.start()
    starting.join(60)
    try:
        assert service.manager is not None, 'it waits in silence'
    finally:
        service.stop()
        starting.join(60)


@pytest.mark.parametrize('method', ['init_host', 'list_instances'])
def test_a_start_says_which_call_of_the_driver_hangs(
        host_side, tmp_path, around, caplog, method):
    """It goes on once that call has ended."""
    made = []

    def make(conf):
        made.append(hanging.HangingDriver(memory.MemoryDriver(conf), method))
        return made[-1]
    host_side.conf.set_override('state_path', str(tmp_path / 'state'))
    host_side.conf.set_override('driver_call_timeout', 0.05, 'virt')
    service = host.HostService(host_side.conf, surroundings=around)
    around.load_driver = lambda conf: make
    starting = concurrency.thread('start', service.start)
    starting.start()
    try:
        waiting.wait_for(
            lambda: 'Waiting: The driver does not answer: '
            f'{method}' in caplog.text, 20, 'the reason')
        assert made[0].hung == 1
        made[0].let_go()
        waiting.wait_for(lambda: not starting.is_alive(), 20, 'the start')
        assert service.runner is not None
    finally:
        made[0].let_go()
        service.stop()
        starting.join(60)


def test_what_it_has_seen_of_the_database_outlives_a_service(
        host_side, tmp_path, around, pair):
    """The first call of the next one tells that the database went back."""
    host_side.conf.set_override('state_path', str(tmp_path / 'state'))
    host_side.conf.set_override('report_interval', 1)
    path, services = tmp_path / 'state' / 'seen.json', []

    def started():
        services.append(host.HostService(
            host_side.conf, surroundings=around))
        services[-1].start()
        return incarnation()

    def incarnation():
        return pair.sql(pair.primary,
                        'SELECT incarnation FROM database_identity')[0][0]
    before = started()
    try:
        waiting.wait_for(lambda: files.read_json(path), 20, 'the file')
    finally:
        services[0].stop()
    assert list(files.read_json(path)) == [before]
    files.write_json(path, {before: 10 ** 6})
    try:
        assert started() != before
    finally:
        services[1].stop()
