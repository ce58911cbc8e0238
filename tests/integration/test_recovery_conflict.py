"""A standby cancels a query so that it can go on replaying."""

import concurrent.futures

import pytest
import sqlalchemy as sa

from computed import context
from computed.db.cell.database import cell
from computed.db.engine import errors
from tests.support import routed
from tests.support import schemas
from tests.support import waiting


@pytest.fixture
def engine():
    return 'postgresql'


@pytest.fixture
def impatient(database):
    """Standbys that let no query hold up the replay, not for a moment."""
    def allow(*statements):
        for standby in database.cluster.replicas:
            standby.sql(*statements, 'SELECT pg_reload_conf()')
    allow("ALTER SYSTEM SET max_standby_streaming_delay = '100ms'")
    yield database
    allow('ALTER SYSTEM RESET max_standby_streaming_delay')


@pytest.fixture
def router(impatient):
    """A router that has both standbys in use."""
    schemas.fill(impatient.url)
    impatient.caught_up()
    with routed.measuring(
            impatient.url, impatient.replica_urls,
            replica_heartbeat_interval=0.1,
            replica_probe_interval=0.1) as found:
        yield found


class Read:
    """A read that takes long at first, and says how it was interrupted.

    :ivar ports: of the servers that it was made on
    """

    def __init__(self):
        self.ports = []
        self.errors = []
        self.run = cell.read(self._run)

    def _run(self, ctxt):
        self.ports.append(ctxt.connection.scalar(
            sa.text('SELECT inet_server_port()')))
        if len(self.ports) > 1:
            return ctxt.connection.scalar(
                sa.text('SELECT count(*) FROM hosts'))
        try:
            return ctxt.connection.execute(
                sa.text('SELECT name, pg_sleep(30) FROM hosts')).all()
        except Exception as error:
            self.errors.append(error)
            raise


def sleeping(server):
    return server.sql("SELECT pid FROM pg_stat_activity WHERE "
                      "state = 'active' AND query LIKE '%pg_sleep(30)%' "
                      'AND pid <> pg_backend_pid()')


def conflicts(server, name):
    [[count]] = server.sql('SELECT confl_lock FROM pg_stat_database_conflicts'
                           f" WHERE datname = '{name}'")
    return count


def test_a_query_cancelled_by_replication_is_asked_of_the_next_standby(
        router, impatient):
    read, ctxt = Read(), context.RequestContext(lag_tolerant=True)
    servers = {server.port: server for server in impatient.cluster.replicas}
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        answer = thread.submit(read.run, ctxt)
        waiting.wait_for(lambda: read.ports, 10, 'the read')
        victim = servers.pop(read.ports[0])
        [other] = servers.values()
        waiting.wait_for(lambda: sleeping(victim), 10, 'the query')
        before = conflicts(victim, impatient.name)
        # The query has to give way to this as soon as it is replayed.
        impatient.sql('BEGIN; LOCK TABLE hosts IN ACCESS EXCLUSIVE MODE; '
                      'COMMIT')
        assert answer.result(60) == 1
    # It was what it should have been, ...
    [error] = read.errors
    assert errors.sqlstate(error) == '40001'
    assert 'conflict with recovery' in str(error)
    waiting.wait_for(
        lambda: conflicts(victim, impatient.name) == before + 1)
    # ... cost nobody anything but time, and is held against nobody.
    assert read.ports == [victim.port, other.port]
    assert (ctxt.reads.last.role, ctxt.reads.last.reason) == (
        'replica', 'lag_tolerant')
    for replica in router.status()[1:]:
        assert (replica['usable'], replica['ejections']) == (True, 0)
