"""A conductor is killed in the middle of its work, on real databases."""

import signal
from concurrent import futures

import pytest

from computed import context
from computed import exception
from computed.claims import journal
from computed.claims import recovery
from computed.objects import instance as instance_obj
from computed.virt import memory
from tests.integration import test_replication as replication
from tests.support import fixtures
from tests.support import load as loads
from tests.support import waiting

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
side = replication.side
# Without replicas none writes heartbeats: what commits is what was asked for.
side_alone = replication.side_alone
FACTS = {'vm_state': 'active', 'task_state': None}


@pytest.fixture
def another(side, tmp_path, database):
    """Starts one more conductor, which knows of no replicas."""
    started = []

    def start():
        found = sockets()
        started.append(replication.start_conductor(
            tmp_path, database, replicas=False))
        waiting.wait_for(lambda: sockets() - found, 20, 'its socket')
        return started[-1]

    def sockets():
        return set(tmp_path.glob('rpc/*conductor*'))
    yield start
    for program in started:
        program.end()


@pytest.fixture
def held(database):
    """Commits are done, but not answered, until the replicas are thawed."""
    primary, replicas = database.cluster.primary, database.cluster.replicas
    primary.lose_nothing(replicas)
    for replica in replicas:
        replica.freeze()
    yield primary
    for replica in replicas:
        replica.thaw()
    primary.acknowledge_alone()


# On PostgreSQL nothing tells when the servers have begun to wait for one
# another, so a commit may slip through.
def test_what_was_committed_but_not_answered_is_done_once(
        side_alone, database, another, request):
    """Its conductor is killed between the commit and the reply."""
    manager = side_alone.manager(memory.MemoryDriver(side_alone.conf))
    instance_obj.Instance(context.new(), **fixtures.INSTANCE | {
        'uuid': loads.CLAIMED}).create()
    revision = "SELECT revision FROM hosts WHERE name = 'h1'"
    [[before]] = database.sql(revision)
    primary = request.getfixturevalue('held')
    with futures.ThreadPoolExecutor() as threads:
        claiming = threads.submit(manager.claims.claim, context.new(),
                                  loads.CLAIMED, 'try', FACTS)
        waiting.wait_for(primary.commits_waiting, 10,
                         'a commit that is not answered')
        another()
        side_alone.program.end(signal.SIGKILL)
        for replica in database.cluster.replicas:
            replica.thaw()
        claim = claiming.result(60)
    assert database.sql('SELECT claim_id FROM instances') == [
        (claim.claim_id,)]
    assert database.sql(revision) == [(before + 1,)]
    assert manager.claims.release(context.new(), claim)


@on_each_engine
def test_conductors_are_killed_again_and_again_under_load(
        side, database, another, tmp_path):
    manager = side.manager(memory.MemoryDriver(side.conf))
    another()
    current = side.program
    with loads.Load(manager.claims) as load:
        for _ in range(3):
            waiting.wait_for(load.all_go_on(), 20, 'the load under way')
            current.end(signal.SIGKILL)
            current = another()
        waiting.wait_for(load.all_go_on(), 20, 'the load going on')
    perhaps = [error for _, error in load.failures
               if isinstance(error, exception.OutcomeUnknown)]
    assert perhaps or load.strict_failures or load.put_off
    assert load.wrong(dict(database.sql(
        'SELECT uuid, name FROM instances'))) == {}
    recovery.replay(manager.claims, context.new())
    assert journal.Journal(tmp_path / 'claims').entries() == []
    assert database.sql('SELECT count(*) FROM instances'
                        ' WHERE claim_id IS NOT NULL') == [(0,)]
