"""Which server is the primary, where only a real one can tell."""

import threading
from concurrent import futures

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import event

from computed import conf as computed_conf
from computed import context
from computed import exception
from computed.db.cell import host
from computed.db.cell import instance
from computed.db.cell import resources
from computed.db.cell import succession
from computed.db.cell.database import cell
from computed.db.routing import primary
from computed.db.routing import router as router_module
from tests import servers
from tests.support import fixtures
from tests.support import routed
from tests.support import schemas
from tests.support import waiting

OTHER = '22222222-2222-4333-8444-555555555555'
NODE = {'hypervisor_type': 'process', 'hypervisor_version': '1',
        'service_id': fixtures.UUID, 'vcpus': 1, 'memory_mb': 1, 'disk_gb': 1}
on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])


@pytest.fixture
def settings():
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    conf([], default_config_files=[])
    return conf.database


def route(url, settings):
    found = router_module.Router(settings, url)
    cell.configure(found, lambda: 1000)
    return found


def pools(router):
    return [node.facade.writer.get_engine()
            for node in (router.primary, router.primary.heartbeats)]


def register(service=fixtures.UUID):
    host.register(context.new(), fixtures.HOST, succession.Life(
        service, fixtures.BOOT, fixtures.BOOT), '0')


def instances(ctxt=None):
    return [row.uuid for row in instance.get_all_by_host(
        ctxt or context.new(), fixtures.HOST)]


@on_each_engine
def test_a_commit_that_nobody_answered_may_have_been_done(
        database, settings):
    """The server is gone once it has committed."""
    schemas.fill(database.url)
    router = route(database.url, settings)
    register()
    done = []

    @event.listens_for(pools(router)[0], 'commit')
    def _(connection):
        if done:
            return
        dbapi_connection = connection.connection.dbapi_connection
        dbapi_connection.commit()
        dbapi_connection.cursor().execute('SELECT 1')     # as before
        done.append(instances_there(database))
        database.cluster.primary.kill()

    with pytest.raises(exception.CommitUnknown):
        instance.create(context.new(), fixtures.INSTANCE)
    assert done == [[fixtures.UUID]]
    database.cluster.primary.start()
    # So the caller repeats it.
    row = instance.create(context.new(), fixtures.INSTANCE)
    assert (row.uuid, row.name) == (fixtures.UUID, 'web')
    with pytest.raises(exception.InstanceExists):
        instance.create(context.new(), {**fixtures.INSTANCE, 'vcpus': 2})
    assert instances_there(database) == [fixtures.UUID]


def instances_there(database):
    return [uuid for [uuid] in database.sql('SELECT uuid FROM instances')]


@on_each_engine
def test_a_statement_that_nobody_answered_was_not_done(database, settings):
    schemas.fill(database.url)
    router = route(database.url, settings)
    register()

    @event.listens_for(pools(router)[0], 'before_cursor_execute')
    def _(connection, cursor, statement, *rest):
        if statement.startswith('INSERT'):
            database.cluster.primary.kill()

    with pytest.raises(exception.PrimaryUnavailable):
        instance.create(context.new(), fixtures.INSTANCE)
    database.cluster.primary.start()
    assert instances_there(database) == []


@on_each_engine
def test_who_comes_back_must_take_a_write_before_it_is_believed(
        database, settings):
    """Under the same name, and demoted meanwhile."""
    primary = database.cluster.primary
    schemas.fill(database.url)
    router = route(database.url, settings)
    register()
    assert instances() == []
    primary.kill()
    with pytest.raises(exception.PrimaryUnavailable):
        instances()
    primary.start()
    primary.refuse_writes()
    try:
        # as it may be, should its name be all that is known of it
        router.primary.identity = identity(router)
        with pytest.raises(exception.PrimaryReadOnly):
            instances()
    finally:
        primary.accept_writes()
    assert instances() == []
    cell.router.send_heartbeat('c1', 1)


@on_each_engine
def test_so_must_who_was_away_while_nobody_asked(database, settings):
    """The pool replaces its broken connections without a word."""
    primary = database.cluster.primary
    schemas.fill(database.url)
    route(database.url, settings)
    register()
    assert instances() == []
    primary.kill()
    primary.start()
    primary.refuse_writes()
    try:
        with pytest.raises(exception.PrimaryReadOnly):
            instances()
        with pytest.raises(exception.PrimaryReadOnly):
            instance.get(context.new(), fixtures.UUID)
    finally:
        primary.accept_writes()
    assert instances() == []


@cell.write
def write_twice(ctxt, between):
    touch(ctxt)
    between()
    touch(ctxt)


def touch(ctxt):
    ctxt.connection.execute(sa.text('UPDATE hosts SET revision = revision'))


def test_a_demotion_and_writes_under_way_do_not_wait_for_each_other(
        database, settings):
    """It waits for the second write, this for the first one's row, and the
    first one's next statement for the demotion.
    """
    primary = database.cluster.primary
    schemas.fill(database.url)
    route(database.url, settings)
    register()
    begun = []

    def wait_for(words, state):
        waiting.wait_for(lambda: primary.sql(
            'SELECT 1 FROM information_schema.processlist WHERE info LIKE '
            f"'{words}%' AND state LIKE '{state}%'"))

    with futures.ThreadPoolExecutor() as threads:
        def demote():
            if begun:
                return
            begun.append(threads.submit(
                write_twice, context.new(), lambda: None))
            wait_for('UPDATE hosts', 'Updating')
            begun.append(threads.submit(primary.refuse_writes))
            wait_for('SET GLOBAL read_only', 'Waiting for')
        try:
            with pytest.raises(exception.PrimaryReadOnly):
                write_twice(context.new(), demote)
            other, demotion = begun
            assert isinstance(other.exception(), exception.PrimaryReadOnly)
            assert demotion.exception() is None
        finally:
            primary.accept_writes()


def identity(router):
    with pools(router)[0].connect() as connection:
        return connection.info['identity']


@on_each_engine
def test_of_two_services_that_register_a_new_host_at_once_one_has_it(
        database, monkeypatch):
    """Neither finds a row; the other one is told who was first."""
    schemas.fill(database.url)
    # Each waits for the other in its transaction. So the time for an answer,
    # of which two intervals are the limit, is long.
    monkeypatch.setattr(primary, 'IDLE_IN_HEARTBEAT', 60)
    router = route(database.url, routed.make_settings(
        replica_heartbeat_interval=30))
    both = threading.Barrier(2)
    met = []

    @event.listens_for(pools(router)[1], 'after_cursor_execute')
    def _(connection, cursor, statement, *rest):
        if 'FOR UPDATE' in statement and len(met) < 2:
            met.append(both.wait(60))

    def outcome(service):
        try:
            return register(service)
        except exception.ComputedError as error:
            return type(error)
    with futures.ThreadPoolExecutor(2) as threads:
        found = list(threads.map(outcome, (fixtures.UUID, OTHER)))
    assert len(met) == 2
    assert set(found) == {None, exception.HostNotSilent}
    winner = (fixtures.UUID, OTHER)[found.index(None)]
    assert database.sql('SELECT host, service_id FROM services') in (
        [(fixtures.HOST, winner)], [[fixtures.HOST, winner]])


@on_each_engine
def test_of_two_first_records_of_a_node_at_once_one_is_written(
        database, settings):
    """The caller repeats it while the first call is still under way."""
    schemas.fill(database.url)
    router = route(database.url, settings)
    register()
    both = threading.Barrier(2)
    met = []

    @event.listens_for(pools(router)[0], 'after_cursor_execute')
    def _(connection, cursor, statement, *rest):
        if 'FROM compute_nodes' in statement and len(met) < 2:
            met.append(both.wait(60))

    def record():
        return resources.record(context.new(), fixtures.HOST, NODE)
    with futures.ThreadPoolExecutor(2) as threads:
        found = [threads.submit(record) for _ in range(2)]
    assert sorted(one.result() for one in found) == [False, True]
    assert len(met) == 2


def test_a_standby_promoted_beneath_its_connections_is_the_primary(
        server_folder, postgresql_data, settings):
    folder = server_folder / 'promoted'
    folder.mkdir(mode=0o711)
    primary = servers.PostgreSQL(folder / '1', postgresql_data)
    standby = servers.PostgreSQL(folder / '2', postgresql_data, primary)
    cluster = servers.Cluster(primary, [standby])
    try:
        cluster.start()
        primary.create_database('computed')
        schemas.fill(primary.url())
        cluster.caught_up()
        router = route(standby.url(), settings)
        pools(router)[1].connect().close()
        standby.promote()

        def works():
            try:
                register()
                return instances() == []
            except exception.PrimaryUnavailable:
                return False
        waiting.wait_for(works, 5, 'the promoted server taking calls')
    finally:
        cluster.stop()


def test_no_heartbeat_goes_to_a_former_primary_that_still_takes_it(
        server_folder, postgresql_data, settings):
    """Its address has moved, but what is connected stays connected."""
    folder = server_folder / 'moved'
    folder.mkdir(mode=0o711)
    former = servers.PostgreSQL(folder / '1', postgresql_data)
    standby = servers.PostgreSQL(folder / '2', postgresql_data, former)
    cluster = servers.Cluster(former, [standby])
    address = None
    try:
        cluster.start()
        former.create_database('computed')
        address = servers.Forwarder(former.port)
        schemas.fill(former.url())
        cluster.caught_up()
        router = route(former.url().replace(
            f':{former.port}/', f':{address.port}/'), settings)
        cell.router.send_heartbeat('c1', 1)
        with pools(router)[1].connect():
            standby.promote()
            address.point_to(standby.port)
            cell.router.send_heartbeat('c1', 2)
        for number in (3, 4, 5):
            cell.router.send_heartbeat('c1', number)
            assert standby.sql('SELECT heartbeat FROM replica_heartbeats',
                               database='computed') == [(number,)]
    finally:
        if address:
            address.close()
        cluster.stop()
