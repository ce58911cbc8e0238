"""Reads, writes and one task on real replication, of each engine.

Statements are counted by the servers' own general logs.
"""

import unittest

import pytest
import sqlalchemy as sa
from oslo_db.sqlalchemy import test_migrations

from computed import context
from computed import exception
from computed import states
from computed.db.cell import migration
from computed.db.cell.storage import tables
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.virt import memory
from tests.support import fixtures
from tests.support import schemas
from tests.support import waiting

UUID = fixtures.UUID

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])


# Seconds that a read may wait for a replica which says nothing.
TIMEOUT = 5


def start_conductor(folder, database, replicas=True, more='', **options):
    """A conductor on the cluster, quick to notice what happens.

    :param more: lines of other groups of its configuration
    """
    schemas.fill(database.url)
    urls = {'connection': database.url, **options}
    if replicas:
        database.caught_up()
        urls.update(replica_connections=','.join(database.replica_urls),
                    replica_heartbeat_interval=0.2, replica_probe_interval=0.2,
                    replica_good_samples=2, replica_ramp=0,
                    replica_timeout=TIMEOUT)
    arguments = fixtures.write_config(folder / 'computed.conf', urls)
    with open(arguments[1], 'a') as stream:
        stream.write(more)
    program = fixtures.Program('computed-conductor', folder, *arguments)
    waiting.wait_for(lambda: list(folder.glob('rpc/*conductor*')), 20,
                     'the socket of the conductor')
    return program


@pytest.fixture
def side(tmp_path, database):
    """This process as a host, with replicas in use."""
    program = start_conductor(tmp_path, database)
    with fixtures.HostSide(tmp_path, tmp_path) as found:
        found.program, found.database = program, database
        wait_for_replicas(found, 2)
        yield found
    program.end()


@pytest.fixture
def side_alone(tmp_path, database):
    """This process as a host, without replicas."""
    program = start_conductor(tmp_path, database, replicas=False)
    with fixtures.HostSide(tmp_path, tmp_path) as found:
        found.program, found.database = program, database
        yield found
    program.end()


def usable(side):
    return [node['node'] for node in
            side.conductor.list_replicas(context.new())
            if node['role'] == 'replica' and node['usable']]


def wait_for_replicas(side, count, seconds=15):
    waiting.wait_for(lambda: len(usable(side)) == count, seconds,
                     f'{count} replicas in use')


def create(count=1, **values):
    """Instances of the host, as its users would have them."""
    for number in range(count):
        instance_obj.Instance(context.new(), **{
            **fixtures.INSTANCE, **values,
            'uuid': f'00000000-0000-4000-8000-{number:012}'}).create()


def insert(database, count, power_state):
    """Instances as :func:`create` leaves them, in a hundredth of the time."""
    host = f"name = '{fixtures.HOST}'"
    [[revision]] = database.sql(
        f'UPDATE hosts SET revision = revision + 1 WHERE {host}',
        f'SELECT revision FROM hosts WHERE {host}')
    rows = [{**fixtures.INSTANCE, 'power_state': power_state,
             'uuid': f'00000000-0000-4000-8000-{number:012}',
             'created_at': '2026-01-01', 'updated_at': '2026-01-01',
             'revision': revision} for number in range(count)]
    database.sql(
        f"INSERT INTO instances ({', '.join(rows[0])}, deleted) VALUES " +
        ', '.join(f"({', '.join(map(repr, row.values()))}, false)"
                  for row in rows))


def power_states(**kwargs):
    return [found.power_state for found in
            instance_obj.InstanceList.get_by_host(
                context.new(), fixtures.HOST, **kwargs)]


def managed(side, count, power_state=states.RUNNING):
    """A manager whose instances and guests agree."""
    virt = memory.MemoryDriver(side.conf)
    found = side.manager(virt)
    insert(side.database, count, power_state)
    for number in range(count):
        virt.add_foreign(f'00000000-0000-4000-8000-{number:012}',
                         found.claims.owner, power_state)
    return found, virt


class ModelsSync(test_migrations.ModelsMigrationsSync):
    """The migrations make what the models say."""

    def db_sync(self, engine):
        migration.sync(self.url)

    def get_engine(self):
        return sa.create_engine(self.url)

    def get_metadata(self):
        return tables.Volume.metadata

    def include_object(self, found, name, kind, reflected, compare_to):
        return name != 'alembic_version'


class TestModelsOnSqlite(ModelsSync, unittest.TestCase):

    @pytest.fixture(autouse=True)
    def _url(self, tmp_path):
        self.url = f'sqlite:///{tmp_path}/x.sqlite'


class TestModelsOnMariaDB(ModelsSync, unittest.TestCase):

    @pytest.fixture(autouse=True)
    def _url(self, database):
        self.url = database.url


class TestModelsOnPostgreSQL(ModelsSync, unittest.TestCase):

    @pytest.fixture
    def engine(self):
        return 'postgresql'

    @pytest.fixture(autouse=True)
    def _url(self, database):
        self.url = database.url


@on_each_engine
def test_a_schema_synchronised_twice_stays_one(database):
    assert migration.sync(database.url) == (None, migration.known()[-1])
    assert migration.sync(database.url) == (migration.known()[-1],) * 2


@on_each_engine
def test_a_tolerant_read_over_rpc_reaches_the_replica_and_no_other_does(
        side, database):
    host_obj.Service.register(context.new(), fixtures.HOST, UUID, UUID,
                              fixtures.BOOT, '0')
    create(power_state=1)
    database.caught_up()
    # The replicas stay within the bound for some seconds.
    for replica in database.cluster.replicas:
        replica.stop_applying()
    database.sql('UPDATE instances SET power_state = 3')
    assert power_states(use_slave=True) == [1]
    assert power_states() == [3]
    assert power_states(use_slave=False) == [3]


@on_each_engine
def test_a_stopped_applier_never_makes_an_answer_wrong(side, database):
    create_host(side)
    create(power_state=1)
    database.caught_up()
    for replica in database.cluster.replicas:
        replica.stop_applying()
    instance_obj.InstanceList.record_power_states(
        context.new(), fixtures.HOST, [
            {'uuid': '00000000-0000-4000-8000-000000000000',
             'vm_state': 'active', 'old': 1, 'new': 4}],
        f'{UUID}:{UUID}')
    ctxt = context.RequestContext(lag_tolerant=True, max_staleness=2)
    waiting.wait_for(lambda: instance_obj.InstanceList.get_by_host(
        ctxt, fixtures.HOST)[0].power_state == 4, 5, 'the new state')
    assert ctxt.reads.last.role == 'primary'
    for replica in database.cluster.replicas:
        replica.start_applying()
    wait_for_replicas(side, 2)


def create_host(side):
    host_obj.Service.register(context.new(), fixtures.HOST, UUID, UUID,
                              fixtures.BOOT, '0')


@on_each_engine
def test_replicas_that_die_or_hang_cost_no_error(side, database):
    create_host(side)
    create(power_state=1)
    database.caught_up()
    first, second = database.cluster.replicas
    first.kill()
    for _ in range(20):
        assert power_states(use_slave=True) == [1]
    second.freeze()
    for _ in range(20):
        with waiting.at_most(2 * TIMEOUT - 1):
            assert power_states(use_slave=True) == [1]
    second.thaw()
    first.start()
    wait_for_replicas(side, 2)


@on_each_engine
def test_replicas_that_are_down_at_start_hold_up_nothing(
        tmp_path, database):
    for replica in database.cluster.replicas:
        replica.stop()
    database.caught_up = lambda: None
    program = start_conductor(tmp_path, database)
    with fixtures.HostSide(tmp_path, tmp_path) as side:
        create_host(side)
        create(power_state=1)
        assert power_states(use_slave=True) == [1]
        for replica in database.cluster.replicas:
            replica.start()
        wait_for_replicas(side, 2)
    program.end()


@on_each_engine
def test_the_primary_named_again_is_not_taken_for_a_replica(
        tmp_path, database):
    twin = database.url.replace('127.0.0.1', 'localhost')
    program = start_conductor(tmp_path, database, replicas=False,
                              replica_connections=twin,
                              replica_probe_interval=0.1)
    with fixtures.HostSide(tmp_path, tmp_path) as side:
        node = waiting.wait_for(lambda: [
            found for found in side.conductor.list_replicas(context.new())
            if found['reason'] == 'is the primary itself'])[0]
        assert node['usable'] is False
    program.end()


@on_each_engine
def test_a_primary_demoted_to_read_only_answers_with_its_own_error(
        side, database):
    create_host(side)
    primary = database.cluster.primary
    try:
        primary.refuse_writes()
        with pytest.raises(exception.PrimaryReadOnly):
            create()
    finally:
        primary.accept_writes()
    create()


# -- figures

# Statements of one read. MariaDB's driver needs no BEGIN: on the primary they
# are the question whether it is one, SELECT, ROLLBACK. A replica gets a ping
# instead, which is no statement. PostgreSQL's are ping or question, BEGIN,
# SELECT, ROLLBACK.
STATEMENTS = {'mariadb': 3, 'postgresql': 4}


class Counted:
    """Counts calls over RPC, and statements by each server's own log."""

    def __init__(self, side, database):
        self.side = side
        self.database = database
        self.calls = 0
        for client in (side.conductor._client, side.conductor._listener):
            client.call = self._counted(client.call)
        self.measuring = {}

    def _counted(self, inner):
        def call(*args, **kwargs):
            self.calls += 1
            return inner(*args, **kwargs)
        return call

    def start(self):
        """Count from now on, but not on connections that beat or probe.

        Those are known by what they say, so one of each is waited for.
        """
        cluster = self.database.cluster
        for server in cluster.servers:
            server.clear_log()
        # The clock of the cell counts beside, once a second.
        self.measuring[cluster.primary.port] = waiting.wait_for(
            lambda: self._counting(cluster.primary.statements('computed')))
        for server in self.measured:
            self.measuring[server.port] = self.measuring.get(
                server.port, set()) | waiting.wait_for(
                lambda server=server: self._measuring(
                    server.statements(self.user(server))))
        self.calls = 0
        for server in cluster.servers:
            server.clear_log()

    @property
    def measured(self):
        in_use = len(self.side.conductor.list_replicas(context.new())) > 1
        return self.database.cluster.servers if in_use else []

    def user(self, server):
        return ('computed' if server is self.database.cluster.primary
                else 'computed_ro')

    @staticmethod
    def _counting(logged):
        return {thread for thread, _, text in logged
                if str(text).startswith(('UPDATE cell_clock',
                                         'SELECT cell_clock'))}

    @staticmethod
    def _measuring(logged):
        return {thread for thread, _, text in logged
                if 'replica_heartbeats' in str(text)}

    def statements(self, server):
        logged = server.statements(self.user(server))
        # Beats have a pool: the next may take another connection of it.
        measuring = (self._measuring(logged) | self._counting(logged) |
                     self.measuring.get(server.port, set()))
        said = [(thread, text) for thread, kind, text in logged
                if kind in ('Query', 'Execute') and thread not in measuring]
        # A connection that was tested, and no more, is about to beat.
        used = {thread for thread, text in said if 'CONCAT_WS' not in text}
        return [text for thread, text in said if thread in used]

    @property
    def on_primary(self):
        return self.statements(self.database.cluster.primary)

    @property
    def on_replicas(self):
        return [text for replica in self.database.cluster.replicas
                for text in self.statements(replica)]


@on_each_engine
def test_a_pass_over_100_instances_that_agree(side, database, engine):
    found, _ = managed(side, 100)
    database.caught_up()
    counted = Counted(side, database)
    # Both pools are warm: a new connection greets its server first.
    for _ in range(10):
        found._sync_power_states(context.new())
    counted.start()
    report = found._sync_power_states(context.new())
    assert report.candidates == 0
    assert counted.calls == 1
    assert counted.on_primary == []
    assert 1 <= len(counted.on_replicas) <= STATEMENTS[engine], (
        counted.on_replicas)


@on_each_engine
def test_a_pass_over_100_instances_of_which_8_differ(side, database):
    found, virt = managed(side, 100)
    for number in range(8):
        virt.set_power_state(f'00000000-0000-4000-8000-{number:012}',
                             states.CRASHED)
    database.caught_up()
    counted = Counted(side, database)
    counted.start()
    report = found._sync_power_states(context.new())
    assert report.acted == 8
    assert counted.calls <= 1 + 3 * 8
    touched = [text for text in counted.on_primary if 'SELECT' in text and
               'LEFT OUTER JOIN instances' in text]
    assert touched == []    # the list was not read there


@on_each_engine
def test_without_replicas_the_same_pass_reads_the_primary(
        side_alone, database, engine):
    found, _ = managed(side_alone, 100)
    counted = Counted(side_alone, database)
    found._sync_power_states(context.new())
    counted.start()
    found._sync_power_states(context.new())
    assert counted.calls == 1
    assert 1 <= len(counted.on_primary) <= STATEMENTS[engine], (
        counted.on_primary)
    assert counted.on_replicas == []


@on_each_engine
def test_a_look_at_the_resources_of_a_host_of_100_instances(
        side, database, engine):
    found, _ = managed(side, 100)
    # Sums above what a column of one instance holds, a ratio that single
    # precision cannot hold.
    database.sql('UPDATE instances SET memory_mb = 2147483647')
    found.conf.set_override('ram_allocation_ratio', 1.23456789,
                            'compute')
    counted = Counted(side, database)
    for _ in range(10):
        found.update_available_resource(context.new())
    database.caught_up()
    counted.start()
    assert found.update_available_resource(context.new()).note is None
    assert counted.calls == 1
    # The sum on a replica; of the primary one number, by its key.
    for seen in (counted.on_replicas, counted.on_primary):
        assert 1 <= len(seen) <= STATEMENTS[engine], '\n'.join(seen)
        assert {text.split()[0] for text in seen} <= {
            ';', 'BEGIN', 'SELECT', 'ROLLBACK'}
    assert not [text for text in counted.on_primary if 'sum(' in text]
    node = host_obj.ComputeNode.get_by_host(context.new(), fixtures.HOST)
    assert (node.vcpus_used, node.memory_mb_used) == (
        100, 100 * 2147483647)


def test_a_host_under_a_new_name_deletes_its_former_node(side, database):
    found, _ = managed(side, 1)
    found.update_available_resource(context.new())
    database.cluster.primary.sql(
        f'UPDATE {database.name}.instances SET deleted = 1')
    fixtures.silence(database.sql, fixtures.HOST, 61)
    side.conf.set_override('host', 'h2')
    renamed = side.manager(memory.MemoryDriver(side.conf))
    renamed.update_available_resource(context.new())
    nodes = host_obj.ComputeNodeList.get_all(context.new())
    assert [node.host for node in nodes] == ['h2']
