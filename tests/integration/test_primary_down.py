"""The primary is down and the replicas are up: who is served, and how."""

import time
from concurrent import futures

import pytest

from computed import context
from computed import exception
from computed import states
from computed.claims import recovery
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from tests.integration import test_replication as replication
from tests.support import fixtures
from tests.support import waiting

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
# How old a tolerant answer may be here, in seconds.
BOUND = 3
DIFFERING = 5


@pytest.fixture
def side(tmp_path, database):
    """A conductor that does not wait long for a primary that hangs."""
    program = replication.start_conductor(
        tmp_path, database, max_replica_lag=BOUND, primary_timeout=1)
    with fixtures.HostSide(tmp_path, tmp_path,
                           rpc_response_timeout=15) as found:
        found.database = database
        replication.wait_for_replicas(found, 2)
        yield found
    program.end()


def beyond_the_bound(down):
    """Read; None while a replica answers, no fresher than it can be.

    :param down: when the primary was, as a monotonic time
    """
    ctxt = context.RequestContext(lag_tolerant=True)
    began = time.monotonic()
    try:
        instance_obj.InstanceList.get_by_host(ctxt, fixtures.HOST)
    except exception.TooStale as error:
        return error
    origin = ctxt.reads.last
    assert origin.role == 'replica'
    # The call itself ages it, too.
    assert began - down <= origin.age <= BOUND + time.monotonic() - began
    return None


def differing(side, database):
    """A manager some of whose guests have ended; the replicas know of all
    instances.
    """
    found, virt = replication.managed(side, 20)
    for number in range(DIFFERING):
        virt.set_power_state(uuid(number), states.CRASHED)
    # Seen to have ended, but with nothing to be repaired.
    instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': uuid(99), 'vm_state': 'error',
        'power_state': states.RUNNING}).create()
    virt.add_foreign(uuid(99), found.claims.owner, states.SHUTDOWN)
    database.caught_up()
    return found, virt


def uuid(number):
    return f'00000000-0000-4000-8000-{number:012}'


class Acts:
    """Counts what is done to guests."""

    def __init__(self, virt):
        self.count = 0
        for name in ('power_on', 'power_off', 'reboot', 'destroy'):
            setattr(virt, name, self._counting(getattr(virt, name)))

    def _counting(self, act):
        def counted(*args, **kwargs):
            self.count += 1
            return act(*args, **kwargs)
        return counted


@pytest.fixture(params=['kill', 'freeze'])
def fault(request):
    """How the primary goes: it refuses connections, or it hangs."""
    return request.param


@on_each_engine
def test_reads_go_on_to_their_bound_and_nothing_is_done(
        side, database, fault, caplog):
    manager, virt = differing(side, database)
    acts = Acts(virt)
    primary = database.cluster.primary
    getattr(primary, fault)()

    down = time.monotonic()
    caplog.clear()
    with futures.ThreadPoolExecutor() as threads:
        passing = threads.submit(manager._sync_power_states, context.new())
        # The age that is reported rises, and ends at the bound.
        ending = waiting.wait_for(lambda: beyond_the_bound(down), 15,
                                  'the bound reached')
        report = passing.result()
    assert ending.kwargs['age'] > BOUND
    # The pass still saw who differs; nobody gave leave to act.
    assert report.candidates == DIFFERING + 1
    assert (report.refused, report.acted) == (DIFFERING + 1, 0)
    # The heartbeat of a host warns; the task adds no second warning.
    assert fixtures.complaints(caplog) == []
    # Its type says that the timeout of RPC was not waited for.
    with pytest.raises(exception.PrimaryUnavailable):
        replication.create(name='new')
    with pytest.raises(exception.PrimaryUnavailable):
        instance_obj.InstanceList.get_by_host(context.new(), fixtures.HOST)

    # Unless any age will do.
    ctxt = context.RequestContext(lag_tolerant=True, availability=True)
    found = instance_obj.InstanceList.get_by_host(ctxt, fixtures.HOST)
    assert len(found) == 21
    assert ctxt.reads.last.age > BOUND
    # Nothing may rest on such an answer, also if another node is read later.
    with pytest.raises(exception.StaleFacts):
        manager.claims.claim(ctxt, uuid(0), 'try', {'vm_state': 'active'})
    with pytest.raises(exception.PutOff):
        manager._sync_power_states(context.new())
    assert acts.count == 0
    claimed = {number for [number] in database.cluster.replicas[0].sql(
        'SELECT claim_id FROM instances', database=database.name)}
    assert claimed == {None}

    if fault == 'kill':
        primary.start()
    else:
        primary.thaw()
    waiting.wait_for(lambda: settled(manager), 15, 'the primary back')
    with pytest.raises(exception.StaleFacts):
        manager.claims.claim(ctxt, uuid(0), 'try', {'vm_state': 'active'})
    replication.wait_for_replicas(side, 2)
    for _ in range(2):
        database.caught_up()
        manager._sync_power_states(context.new())
    assert set(database.sql(
        'SELECT vm_state, power_state, claim_id FROM instances')) == {
        ('active', states.RUNNING, None), ('stopped', states.CRASHED, None),
        ('error', states.SHUTDOWN, None)}
    assert acts.count == DIFFERING


def settled(manager):
    """Tell what could not be told, as the heartbeat does once it is heard.
    """
    try:
        host_obj.Service.report(context.new(), fixtures.HOST,
                                fixtures.SILENT, fixtures.BOOT, '{}')
        recovery.replay(manager.claims, context.new())
    except exception.ComputedError:
        return False
    return True
