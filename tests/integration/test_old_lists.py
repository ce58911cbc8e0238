"""A list is old in one of three ways, on real replication.

The replicas lag; what was listed changes before it is acted upon; it changes
between the guard and the write.
"""

import uuid

import pytest

from computed import context
from computed import exception
from computed import states
from computed.objects import base
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.virt import memory
from tests.functional import test_power_sync as power_sync
from tests.integration import test_replication as replication
from tests.support import fixtures

pytestmark = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
side = replication.side
UUID = '00000000-0000-4000-8000-000000000000'
ELSEWHERE = 'h2'


@pytest.fixture
def virt(side):
    return memory.MemoryDriver(side.conf)


@pytest.fixture
def manager(side, virt):
    found = side.manager(virt)
    host_obj.Service.register(context.new(), ELSEWHERE, fixtures.UUID,
                              fixtures.BOOT, fixtures.BOOT, '0')
    return found


def begin(manager, virt, database, vm_state, guest):
    """One instance, of which all servers know."""
    replication.create(vm_state=vm_state, power_state=guest)
    virt.add_foreign(UUID, manager.claims.owner, guest)
    database.caught_up()


def lag(database):
    """Nothing that happens on the primary arrives from now on."""
    for replica in database.cluster.replicas:
        replica.stop_applying()


def put(database, **columns):
    """Change the instance on the primary, as a user's request would."""
    changes = ', '.join(f"{name} = '{value}'"
                        for name, value in columns.items())
    database.sql(f'UPDATE instances SET {changes}, revision = revision + 1',
                 'UPDATE hosts SET revision = revision + 1'
                 " WHERE name <> '(none)'")


def row(server, database):
    [found] = server.sql('SELECT vm_state, host, claim_id FROM instances',
                         database=database.name)
    return found


def on_primary(database):
    return row(database.cluster.primary, database)


def ran(manager):
    """The report of a pass whose list came from a replica."""
    ctxt = context.new()
    report = manager._sync_power_states(ctxt)
    assert ctxt.reads.by_role['replica'] == 1
    return report


def catch_up(manager, database):
    """What was held up is right within two passes."""
    for replica in database.cluster.replicas:
        replica.start_applying()
    database.caught_up()
    manager._sync_power_states(context.new())
    assert manager._sync_power_states(context.new()).candidates == 0


# -- start finished / still stopped, guest runs

def start(database, virt):
    put(database, vm_state='active', power_state=states.RUNNING)
    virt.set_power_state(UUID, states.RUNNING)


def test_a_start_that_the_replicas_have_not_seen(manager, virt, database):
    begin(manager, virt, database, 'stopped', states.SHUTDOWN)
    lag(database)
    start(database, virt)
    report = ran(manager)
    assert row(database.cluster.replicas[0], database)[0] == 'stopped'
    assert (report.acted, report.lost_races) == (0, 1)
    catch_up(manager, database)
    assert virt.get_instance(UUID).power_state == states.RUNNING
    assert on_primary(database) == ('active', fixtures.HOST, None)


def test_a_start_between_the_list_and_the_act(manager, virt, database):
    begin(manager, virt, database, 'stopped', states.SHUTDOWN)
    manager.driver = power_sync.Intruder(
        virt, 'list_instances', before=lambda: start(database, virt))
    report = ran(manager)
    assert (report.acted, report.lost_races) == (0, 1)
    catch_up(manager, database)
    assert virt.get_instance(UUID).power_state == states.RUNNING
    assert on_primary(database) == ('active', fixtures.HOST, None)


def test_a_start_between_the_guard_and_the_write(manager, virt, database):
    begin(manager, virt, database, 'stopped', states.RUNNING)
    refused = []

    def start_too():
        with pytest.raises(exception.ClaimLost) as caught:
            manager.claims.claim(
                context.new(), UUID, 'start',
                {'vm_state': 'stopped', 'task_state': None},
                task_state=states.POWERING_ON)
        refused.append(caught.value)

    manager.driver = power_sync.Intruder(virt, 'power_off', before=start_too)
    assert ran(manager).acted == 1
    assert len(refused) == 1
    catch_up(manager, database)
    assert virt.get_instance(UUID).power_state == states.SHUTDOWN
    assert on_primary(database) == ('stopped', fixtures.HOST, None)


# -- migrated away / still mine; the guest here has ended

def move(database, virt):
    put(database, host=ELSEWHERE)
    virt.set_power_state(UUID, states.SHUTDOWN)


def test_a_move_that_the_replicas_have_not_seen(manager, virt, database):
    begin(manager, virt, database, 'active', states.RUNNING)
    lag(database)
    move(database, virt)
    report = ran(manager)
    assert row(database.cluster.replicas[0], database)[1] == fixtures.HOST
    assert (report.acted, report.lost_races) == (0, 1)
    catch_up(manager, database)
    assert on_primary(database) == ('active', ELSEWHERE, None)


def test_a_move_between_the_list_and_the_act(manager, virt, database):
    begin(manager, virt, database, 'active', states.RUNNING)
    manager.driver = power_sync.Intruder(
        virt, 'list_instances', before=lambda: move(database, virt))
    report = ran(manager)
    assert (report.acted, report.lost_races) == (0, 1)
    catch_up(manager, database)
    assert on_primary(database) == ('active', ELSEWHERE, None)


def test_a_move_between_the_guard_and_the_write(manager, virt, database):
    begin(manager, virt, database, 'active', states.RUNNING)
    virt.set_power_state(UUID, states.CRASHED)
    found = instance_obj.Instance.get_by_uuid(context.new(), UUID)
    refused = []

    def move_too():
        found.host = ELSEWHERE
        with pytest.raises(exception.InstanceChanged) as caught:
            found.save()
        refused.append(caught.value)

    # The look at the guest under the claim.
    manager.driver = power_sync.Intruder(virt, 'get_instance',
                                         before=move_too)
    assert ran(manager).acted == 1
    assert len(refused) == 1
    catch_up(manager, database)
    assert on_primary(database) == ('stopped', fixtures.HOST, None)


# -- claim of resources finished / not there

class Meanwhile:
    """A conductor; before one method of an object something happens, once.
    """

    def __init__(self, conductor, method, what):
        self._conductor = conductor
        self._method = method
        self._what = what

    def __getattr__(self, name):
        return getattr(self._conductor, name)

    def object_class_action_versions(self, ctxt, name, method, *args):
        if method == self._method:
            self._method = None
            self._what()
        return self._conductor.object_class_action_versions(
            ctxt, name, method, *args)


def place(number):
    instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': str(uuid.UUID(int=number))}).create()


def used():
    return host_obj.ComputeNode.get_by_host(
        context.new(), fixtures.HOST).vcpus_used


@pytest.fixture
def placed(manager, database):
    """One instance is placed and recorded."""
    place(1)
    database.caught_up()
    manager.update_available_resource(context.new())
    database.caught_up()
    assert used() == 1
    return manager


def test_a_placement_that_the_replicas_have_not_seen(placed, database):
    lag(database)
    place(2)
    ctxt = context.new()
    placed.update_available_resource(ctxt)
    assert used() == 2
    assert database.cluster.replicas[0].sql(
        'SELECT count(*) FROM instances', database=database.name) == [(1,)]
    assert ctxt.reads.by_role['replica'] == 0


def test_a_placement_between_the_sum_and_its_record(placed, side):
    place(2)
    base.use_conductor(Meanwhile(
        side.conductor, 'record', lambda: place(3)))
    placed.update_available_resource(context.new())
    assert used() == 2      # what was so when it was summed up
    placed.update_available_resource(context.new())
    assert used() == 3


def test_a_record_between_the_guard_and_the_write(placed, side):
    place(2)

    def overtake():
        place(3)
        placed.update_available_resource(context.new())
        assert used() == 3
    base.use_conductor(Meanwhile(side.conductor, 'record', overtake))
    report = placed.update_available_resource(context.new())
    assert 'another writer has changed' in report.note
    assert used() == 3
