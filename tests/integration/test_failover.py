"""Another server becomes the primary, under load: nobody is restarted.

The conductor's ``connection`` is an address that moves;
``replica_connections`` names every server by its own. What is judged by is
the ledger of the load.
"""

import dataclasses
import itertools
import typing
from concurrent import futures

import pytest

from computed import context
from computed import exception
from computed import states
from computed.objects import instance as instance_obj
from computed.virt import memory
from tests import servers
from tests.support import fixtures
from tests.support import load as loads
from tests.support import schemas
from tests.support import waiting

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
_numbers = itertools.count(1)
NAME = 'computed_moves'
# What a replica may be behind: longer than a failover takes, also on a busy
# machine.
BOUND = int(30 * waiting.PATIENCE)


@dataclasses.dataclass
class Site:
    """A cluster of its own, the address before it, and a conductor."""

    cluster: servers.Cluster
    address: servers.Forwarder
    side: typing.Any = None
    program: typing.Any = None

    def nodes(self):
        return {node['node']: node for node in
                self.side.conductor.list_replicas(context.new())}

    def node(self, server):
        return self.nodes()[f'127.0.0.1:{server.port}/{NAME}']

    def usable(self):
        """The servers that the conductor uses as replicas."""
        return [server for server in self.cluster.servers
                if self.node(server)['usable']]

    def incarnation(self):
        [primary] = [node for node in self.nodes().values()
                     if node['role'] == 'primary']
        return primary['incarnation']

    def names(self, server):
        """``{uuid: name}`` of the instances there."""
        return dict(server.sql('SELECT uuid, name FROM instances',
                               database=NAME))

    def promote(self, server, *, others):
        """Make ``server`` the primary, the address still elsewhere."""
        former = self.cluster.primary
        server.promote()
        for other in others:
            other.follow_instead(server)
        self.cluster.primary = server
        self.cluster.replicas = [*others, former]
        return former


@pytest.fixture
def cluster(engine, request, server_folder):
    """A primary and two replicas of the test's own."""
    data = request.getfixturevalue(f'{engine}_data')
    folder = server_folder / f'moves{next(_numbers)}'
    folder.mkdir(mode=0o711)
    if engine == 'mariadb':
        found = servers.Cluster(
            servers.MariaDB(folder / '1', data, 1),
            [servers.MariaDB(folder / str(number), data, number,
                             '--read-only=ON') for number in (2, 3)])
    else:
        primary = servers.PostgreSQL(folder / '1', data)
        found = servers.Cluster(primary, [
            servers.PostgreSQL(folder / str(number), data, primary)
            for number in (2, 3)])
    try:
        found.start()
        yield found
    finally:
        # Nobody needs their data again.
        with futures.ThreadPoolExecutor() as threads:
            for server in found.servers:
                if server.is_running:
                    threads.submit(server.kill)


@pytest.fixture
def connection(cluster, address):
    """The URL of the primary, whichever server that is."""
    return cluster.primary.url(database=NAME).replace(
        f':{cluster.primary.port}/', f':{address.port}/')


@pytest.fixture
def site(cluster, address, connection, tmp_path):
    """A conductor that uses both replicas, and this process as a host."""
    cluster.primary.create_database(NAME)
    found = Site(cluster, address)
    schemas.fill(connection)
    cluster.caught_up()
    arguments = fixtures.write_config(tmp_path / 'computed.conf', {
        'connection': connection,
        'replica_connections': ','.join(
            server.url('computed_ro', NAME) for server in cluster.servers),
        'max_replica_lag': BOUND, 'replica_heartbeat_interval': 0.2,
        'replica_probe_interval': 0.1, 'replica_good_samples': 2,
        'replica_ramp': 0})
    program = fixtures.Program('computed-conductor', tmp_path, *arguments)
    waiting.wait_for(lambda: list(tmp_path.glob('rpc/*conductor*')), 20,
                     'the socket of the conductor')
    with fixtures.HostSide(tmp_path, tmp_path) as found.side:
        found.program = program
        waiting.wait_for(lambda: found.usable() == cluster.replicas, 15,
                         'both replicas in use')
        yield found
    program.end()


@pytest.fixture
def manager(site):
    return site.side.manager(memory.MemoryDriver(site.side.conf))


@pytest.fixture
def load(site, manager):
    with loads.Load(manager.claims) as found:
        waiting.wait_for(found.all_go_on(), 20, 'the load under way')
        yield found


def check(load, site):
    """What must hold in the end."""
    load.__exit__()
    assert load.wrong(site.names(site.cluster.primary)) == {}
    assert load.put_off == []
    assert site.program.process.poll() is None


@on_each_engine
def test_a_replica_takes_over_from_a_primary_that_was_killed(site, load):
    # Without this some of what was acknowledged is lost with the primary.
    site.cluster.primary.lose_nothing(site.cluster.replicas)
    waiting.wait_for(load.all_go_on(), 20, 'the load going on')
    began, go_on = len(load.failures), load.tolerant
    site.cluster.primary.kill()
    waiting.wait_for(lambda: len(load.failures) > began + 3 and
                     load.tolerant > go_on + 3, 20,
                     'writes failing and tolerant reads going on')
    other, chosen = sorted(site.cluster.replicas,
                           key=lambda replica: replica.received())
    former = site.promote(chosen, others=[other])
    site.address.point_to(chosen.port)
    waiting.wait_for(load.all_go_on(), 20, 'the load going on')
    failed = len(load.failures)
    # The former one comes back. It is no replica, for it follows nobody.
    former.come_back_read_only()
    waiting.wait_for(lambda: site.usable() == [other], 20,
                     'only one replica in use')
    assert site.node(chosen)['reason'] == 'is the primary itself'
    waiting.wait_for(load.all_go_on(), 20, 'the load going on')
    # Nobody failed but in between.
    assert len(load.failures) == failed

    # By mistake the address leads to it for a while.
    assert int(site.names(former)[loads.COUNTER]) < load.count
    site.address.point_to(former.port)
    site.address.cut()
    with pytest.raises((exception.PrimaryReadOnly,
                        exception.PrimaryUnavailable)):
        instance_obj.Instance.get_by_uuid(context.new(), loads.COUNTER)
    strict = len(load.strict_failures)
    waiting.wait_for(lambda: len(load.strict_failures) > strict + 20 and
                     len(load.failures) > failed, 20, 'strict reads failing')
    site.address.point_to(chosen.port)
    waiting.wait_for(load.all_go_on(), 20, 'the load going on')

    # It follows at last, and is of use again.
    former.rejoin(chosen)
    waiting.wait_for(lambda: site.usable() == [other, former], 30,
                     'the former primary in use as a replica')
    check(load, site)


@on_each_engine
def test_a_switchover_that_was_planned_loses_nothing(site, load):
    """In the order of the runbook: the former primary is left first."""
    chosen, other = site.cluster.replicas
    former = site.cluster.primary
    incarnation = site.incarnation()
    site.address.point_to(None)
    former.refuse_writes()
    site.address.cut()
    for replica in (chosen, other):
        replica.caught_up(former)
    waiting.wait_for(lambda: load.failures, 10, 'writes failing')
    acknowledged = load.count
    site.promote(chosen, others=[other])
    site.address.point_to(chosen.port)
    former.rejoin(chosen)
    waiting.wait_for(load.all_go_on(), 20, 'the load going on')
    waiting.wait_for(lambda: site.usable() == [other, former], 30,
                     'the former primary in use as a replica')
    assert load.count > acknowledged
    assert site.incarnation() != incarnation
    check(load, site)


STARTED = '22222222-2222-4333-8444-555555555555'


def stopped_instance(manager):
    """An instance whose guest is off."""
    manager.driver.add_foreign(STARTED, manager.claims.owner, states.SHUTDOWN)
    instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': STARTED, 'vm_state': states.STOPPED,
        'power_state': states.SHUTDOWN}).create()


def start(manager):
    manager.start_instance(context.new(), STARTED)
    waiting.wait_for(lambda: instance_obj.Instance.get_by_uuid(
        context.new(), STARTED).vm_state == states.ACTIVE, 20, 'the start')


@on_each_engine
def test_what_was_lost_with_the_primary_is_not_waited_for(
        site, load, manager):
    """The replicas had received nothing for a while."""
    former, (other, chosen) = site.cluster.primary, site.cluster.replicas
    stopped_instance(manager)
    for replica in (other, chosen):
        replica.caught_up(former)
        replica.stop_receiving()
    waiting.wait_for(load.all_go_on(), 20, 'writes that will be lost')
    start(manager)
    ctxt = context.new()
    lost = instance_obj.Instance(ctxt, **{
        **fixtures.INSTANCE, 'uuid': fixtures.UUID})
    lost.create()
    incarnation = site.incarnation()
    [[revision]] = former.sql("SELECT revision FROM hosts WHERE name = 'h1'",
                              database=NAME)
    load.judging = False
    former.kill()
    site.promote(chosen, others=[other])
    assert fixtures.UUID not in site.names(chosen)
    [[before]] = chosen.sql("SELECT revision FROM hosts WHERE name = 'h1'",
                            database=NAME)
    assert before < revision
    site.address.point_to(chosen.port)
    waiting.wait_for(load.all_go_on(), 20, 'the load going on')

    assert site.incarnation() != incarnation
    with pytest.raises(exception.Resync) as caught:
        instance_obj.InstanceList.get_by_host(ctxt, fixtures.HOST,
                                              use_slave=True)
    assert caught.value.kwargs['retry_after'] > 0
    # A caller that starts again gets the true state on each server.
    for use_slave in (False, True):
        with pytest.raises(exception.InstanceNotFound):
            instance_obj.Instance.get_by_uuid(
                context.new(), fixtures.UUID, use_slave=use_slave)
    load.__exit__()
    assert load.problems == []
    # No guest is stopped because the start of it was lost.
    def is_held():
        assert manager._sync_power_states(context.new()).acted == 0
        return STARTED in manager.claims.settled.held()
    # Not before a replica has what the new primary has.
    waiting.wait_for(is_held, 20, 'the instance held')
    assert manager.driver.get_instance(STARTED).power_state == states.RUNNING
    manager.reconcile(context.new(), STARTED, True)
    assert instance_obj.Instance.get_by_uuid(
        context.new(), STARTED).vm_state == states.ACTIVE
    assert manager.claims.settled.held() == {}
    assert site.program.process.poll() is None
    # No revision was given twice, so no guard is deceived.
    [[given]] = chosen.sql(
        'SELECT min(revision) FROM instances'
        f" WHERE revision > {before} AND host = 'h1'", database=NAME)
    assert given > revision


class TestSeveralHosts:
    """libpq looks for the primary itself; there is no address that moves."""

    @pytest.fixture
    def engine(self):
        return 'postgresql'

    @pytest.fixture
    def connection(self, cluster):
        hosts = '&'.join(f'host=127.0.0.1:{server.port}'
                         for server in cluster.servers)
        return (f'postgresql+psycopg://computed:computed@/{NAME}?{hosts}'
                '&target_session_attrs=read-write')

    def test_the_one_that_takes_writes_is_found(self, site, load):
        former, (other, chosen) = (site.cluster.primary,
                                   site.cluster.replicas)
        for replica in (other, chosen):
            replica.caught_up(former)
        former.lose_nothing([other, chosen])
        former.kill()
        other, chosen = sorted((other, chosen),
                               key=lambda replica: replica.received())
        site.promote(chosen, others=[other])
        waiting.wait_for(load.all_go_on(), 20, 'the load going on')
        former.come_back_read_only()
        waiting.wait_for(load.all_go_on(), 20, 'the load going on')
        assert site.node(chosen)['reason'] == 'is the primary itself'
        check(load, site)
