"""The instants that matter: just after a beat, and amid a commit.

The router runs in this process, so that the test chooses them.
"""

import contextlib

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from computed import clock
from computed import conf as computed_conf
from computed import context
from computed import exception
from computed.db.cell import database as cell_database
from computed.db.cell import instance
from computed.db.cell import migration
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.routing import nodes
from computed.db.routing import router as router_module
from tests import servers
from tests.support import fixtures
from tests.support import ledger
from tests.support import waiting

UUID = fixtures.UUID
# Seconds; a busy machine still has its first answer within them.
BOUND = 3


@pytest.fixture
def settings():
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    conf([], default_config_files=[])
    for name, value in (('primary_timeout', 1),
                        ('replica_heartbeat_interval', 0.05),
                        ('replica_probe_interval', 0.05)):
        conf.set_override(name, value, group='database')
    return conf.database


@contextlib.contextmanager
def router_on(settings, *urls):
    router = router_module.Router(settings, urls[0], urls[1:])
    cell.configure(router, lambda: 1000)
    router.incarnation.database_id = cell_database.get_id(context.new())
    yield router
    for node in (router.primary, router.primary.heartbeats,
                 *router.replicas.values()):
        node.dispose()


def send_beat(router):
    number = router.next_heartbeat(clock.monotonic())
    cell.router.send_heartbeat('here', number)
    return number


def probe(router):
    [replica] = router.replicas.values()
    replica.probe('here', lambda: nodes.Expected(
        router.incarnation.database_id, router.primary.identity,
        migration.outdated()), router.heartbeats)
    return replica


def test_a_commit_right_after_a_beat_is_not_taken_for_one_before_it(
        schema, settings):
    server = schema.cluster.replicas[0]
    book = ledger.Ledger()
    engine = sa.create_engine(schema.url)
    with router_on(settings, schema.url, schema.replica_urls[0]) as router, \
            engine.connect() as writer, \
            contextlib.closing(server.connect(schema.name)) as holder:
        writer.exec_driver_sql('SELECT 1')
        # The replica can apply the beat, but not what follows it.
        holder.begin()
        holder.cursor().execute('SELECT * FROM instances FOR UPDATE')
        sent = clock.monotonic()
        number = send_beat(router)
        with book.writing(1):
            writer.exec_driver_sql('UPDATE instances SET vcpus = 1')
            writer.commit()
        waiting.wait_for(lambda: probe(router).seen == number)
        # This one will not arrive. To count from it would be too kind.
        send_beat(router)
        # The primary answers some reads only: it has a budget for them.
        while clock.monotonic() < sent + BOUND + 0.2 and sum(
                found.node == 'primary' for found in book.reads) < 10:
            probe(router)
            book.reading(lambda: read(BOUND), bound=BOUND)
        holder.rollback()
    engine.dispose()
    ledger.check(book)
    stale = [found for found in book.reads if found.value == 0]
    assert stale and {found.node for found in stale} == {'replica'}
    assert book.reads[-1].node == 'primary' and book.reads[-1].value == 1


def read(bound):
    ctxt = context.RequestContext(lag_tolerant=True, max_staleness=bound)
    found = instance.get(ctxt, UUID).vcpus
    return found, {'age': ctxt.reads.last.age, 'ended': ctxt.reads.last_at,
                   'node': ctxt.reads.last.role}


@cell.write
def change(ctxt, before, after):
    """Set the counter to 1; call the one before and the other after it."""
    before()
    ctxt.connection.execute(sa.update(models.Instance).values(vcpus=1))
    after()


def nothing():
    """Not now."""


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
@pytest.mark.parametrize('way, written', [(servers.TO_CLIENT, 1),
                                          (servers.TO_SERVER, 0)])
def test_a_commit_without_an_answer_was_perhaps_made(
        schema, settings, way, written):
    with servers.Proxy(schema.cluster.primary.port) as proxy:
        with router_on(settings, through(schema, proxy)):
            with pytest.raises(exception.CommitUnknown):
                change(context.new(), nothing, lambda: proxy.hold(way))
            assert proxy.held[way] > 0
            assert schema.sql('SELECT vcpus FROM instances') == [(written,)]
            proxy.drop()
            proxy.release()


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
@pytest.mark.parametrize('way', [servers.TO_CLIENT, servers.TO_SERVER])
def test_what_got_no_answer_before_its_commit_was_not_written(
        schema, settings, way):
    with servers.Proxy(schema.cluster.primary.port) as proxy:
        with router_on(settings, through(schema, proxy)):
            with pytest.raises(exception.PrimaryUnavailable):
                change(context.new(), lambda: proxy.hold(way), nothing)
            assert proxy.held[way] > 0
            proxy.drop()
            proxy.release()
    assert schema.sql('SELECT vcpus FROM instances') == [(0,)]


def test_a_write_that_is_undone_again_and_again_says_so(schema, settings):
    tries = []

    @cell.write
    def meet_another(ctxt):
        tries.append(ctxt)
        # What the server answers to the second of two commits.
        ctxt.connection.execute(sa.text(
            "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, "
            "MESSAGE_TEXT = 'Deadlock found when trying to get lock'"))
    with router_on(settings, schema.url), \
            pytest.raises(exception.WriteConflict):
        meet_another(context.new())
    assert len(tries) > 5


def test_a_write_on_a_row_that_was_changed_since_it_was_read_is_repeated(
        schema, settings, snapshot_isolation):
    """The server refuses it (1020), as MariaDB 11.8 does by default."""
    read = []

    @cell.write
    def add_one(ctxt):
        found = ctxt.connection.execute(
            sa.text('SELECT vcpus FROM instances')).scalar_one()
        read.append(found)
        if len(read) == 1:
            schema.sql('UPDATE instances SET vcpus = 5')
        ctxt.connection.execute(
            sa.text(f'UPDATE instances SET vcpus = {found + 1}'))
    with router_on(settings, schema.url):
        add_one(context.new())
    assert read == [0, 5]
    assert schema.sql('SELECT vcpus FROM instances') == [(6,)]


@pytest.fixture
def snapshot_isolation(schema):
    """For every later session."""
    server = schema.cluster.primary
    [[before]] = server.sql('SELECT @@GLOBAL.innodb_snapshot_isolation')
    server.sql('SET GLOBAL innodb_snapshot_isolation = ON')
    yield
    server.sql(f'SET GLOBAL innodb_snapshot_isolation = {before}')


def through(database, proxy):
    """The primary's URL by way of the proxy."""
    return database.url.replace(str(proxy.server_port), str(proxy.port))
