"""The former primary lives on, read-only, and its sessions stay open.

The address of the primary has moved, but a pool keeps the connections that it
has. No strict answer may come from them, not even before anything is written.
"""

import contextlib

import pytest

from computed import context
from computed import exception
from computed.db.cell import instance
from computed.db.cell.database import cell
from computed.db.routing import router as router_module
from tests import servers
from tests.support import fixtures
from tests.support import routed
from tests.support import schemas

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
NAME = 'computed_demoted'
OTHER = '22222222-2222-4333-8444-555555555555'


@pytest.fixture
def cluster(engine, request, server_folder):
    """A primary and a replica of the test's own."""
    data = request.getfixturevalue(f'{engine}_data')
    folder = server_folder / f'demoted-{engine}'
    folder.mkdir(mode=0o711)
    if engine == 'mariadb':
        found = servers.Cluster(
            servers.MariaDB(folder / '1', data, 1),
            [servers.MariaDB(folder / '2', data, 2, '--read-only=ON')])
    else:
        primary = servers.PostgreSQL(folder / '1', data)
        found = servers.Cluster(
            primary, [servers.PostgreSQL(folder / '2', data, primary)])
    try:
        found.start()
        found.primary.create_database(NAME)
        yield found
    finally:
        for server in found.servers:
            if server.is_running:
                server.kill()


@pytest.fixture
def url(cluster, address):
    """The URL of the primary, whichever that is; it has one instance."""
    url = cluster.primary.url(database=NAME)
    schemas.fill(url)
    fixtures.add_counter(servers.Database(NAME, cluster))
    cluster.caught_up()
    return url.replace(f':{cluster.primary.port}/', f':{address.port}/')


@contextlib.contextmanager
def three(url, replica_urls):
    """The routers of three conductors: two without replicas, one with them.
    """
    with contextlib.ExitStack() as stack:
        found = [router_module.Router(routed.make_settings(), url)
                 for _ in range(2)]
        for router in found:
            stack.callback(router.primary.heartbeats.dispose)
            stack.callback(router.primary.dispose)
        found.append(stack.enter_context(routed.measuring(
            url, replica_urls, replica_good_samples=1, replica_ramp=0,
            max_replica_lag=3600)))
        for router in found:
            through(router)
            assert name_of() == 'web'
            open_sessions(router)
        yield found


def through(router):
    cell.configure(router, lambda: 1000)


def name_of(uuid=fixtures.UUID):
    return instance.get(context.new(), uuid).name


def open_sessions(router):
    """Leave several connections in each pool of a router."""
    with contextlib.ExitStack() as stack:
        for node in (router.primary, router.primary.heartbeats):
            for _ in range(3):
                stack.enter_context(node.facade.writer.get_engine().connect())


def demote(cluster, address):
    """As an operator does it who forgets to close the sessions."""
    former, [chosen] = cluster.primary, cluster.replicas
    former.refuse_writes()
    chosen.caught_up(former)
    chosen.promote()
    address.point_to(chosen.port)
    return former, chosen


@on_each_engine
def test_a_demoted_primary_answers_no_strict_read(cluster, address, url):
    with three(url, [cluster.replicas[0].url('computed_ro', NAME)]) as routers:
        former, chosen = demote(cluster, address)
        # Another conductor has connected since, and its writes are
        # acknowledged.
        chosen.sql("UPDATE instances SET name = 'renamed', revision = 2",
                   'UPDATE hosts SET revision = 2', database=NAME)
        reading, writing, measuring = routers
        for router in (reading, measuring):
            through(router)
            # At once, and without an error: it connects again.
            assert [name_of() for _ in range(4)] == ['renamed'] * 4
        through(writing)
        instance.update(context.new(), fixtures.UUID, fixtures.HOST, 2,
                        {'name': 'written'})
        instance.create(context.new(), {**fixtures.INSTANCE, 'uuid': OTHER})
        for router in routers:
            through(router)
            assert [row.name for row in instance.get_all_by_host(
                context.new(), fixtures.HOST)] == ['written', 'web']
        assert former.sql('SELECT name FROM instances', database=NAME) == [
            ('web',)]


@on_each_engine
def test_a_primary_that_is_read_only_answers_no_strict_read(schema):
    """Nothing has taken over yet, or the address still leads to it."""
    primary = schema.cluster.primary
    with three(schema.url, schema.replica_urls) as routers:
        primary.refuse_writes()
        try:
            for router in routers:
                through(router)
                for _ in range(2):
                    with pytest.raises(exception.PrimaryReadOnly):
                        name_of()
                    # No row is an answer too.
                    with pytest.raises(exception.PrimaryReadOnly):
                        name_of(OTHER)
            # A replica says how old its answer is; the primary may be any.
            tolerant = context.RequestContext(lag_tolerant=True)
            assert instance.get(tolerant, fixtures.UUID).name == 'web'
            assert tolerant.reads.last.role == 'replica'
        finally:
            primary.accept_writes()
        for router in routers:
            through(router)
            assert name_of() == 'web'


# What one strict read says to the primary. The first statement takes the
# place of the driver's ping.
STATEMENTS = {'mariadb': ['SELECT', 'SELECT', 'ROLLBACK'],
              'postgresql': ['SELECT', 'BEGIN', 'SELECT', 'ROLLBACK']}


@on_each_engine
def test_the_question_who_answers_costs_no_statement(schema, engine):
    router = router_module.Router(routed.make_settings(), schema.url)
    through(router)
    assert name_of() == 'web'
    primary = schema.cluster.primary
    for host in (fixtures.HOST, 'no such host'):
        primary.clear_log()
        instance.get_all_by_host(context.new(), host)
        said = [text for _, kind, text in primary.statements()
                if kind in ('Query', 'Execute')]
        assert [text.split()[0] for text in said] == STATEMENTS[engine], said
    router.primary.dispose()
