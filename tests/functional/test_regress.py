"""The database goes back in time; what a host has settled since is lost."""

import dataclasses
import uuid

import oslo_messaging as messaging
import pytest

from computed import context
from computed import exception
from computed import metrics
from computed import states
from computed.claims import absence
from computed.claims import journal
from computed.claims import recovery
from computed.claims import remembered
from computed.claims import settled
from computed.objects import instance as instance_obj
from computed.operations import operation
from computed.operations import power
from computed.operations import recover
from computed.tasks.power_states import task as power_states
from computed.virt import driver
from tests.functional import test_volumes
from tests.support import fixtures
from tests.support import waiting

UUID = fixtures.UUID
STOPPED = {'vm_state': 'stopped', 'power_state': states.SHUTDOWN}


@pytest.fixture
def manager(fresh, virt):
    """Of a host that remembers, with a guest that is off."""
    found = fresh.manager(virt)
    remember(found, fresh.state)
    virt.add_foreign(UUID, found.claims.owner, states.SHUTDOWN)
    return found


def remember(manager, folder):
    """Remember in a folder; also what was remembered there before."""
    owner = manager.claims.owner
    manager.claims.settled = settled.Settled(
        owner, remembered.Store(folder / 'settled', owner))


class Backup:
    """The rows of a moment, on the primary and on the replica."""

    def __init__(self, pair, *more):
        """:param more: tables beside those of hosts and instances"""
        self._pair = pair
        self._rows = {table: pair.sql(pair.primary, f'SELECT * FROM {table}')
                      for table in ('hosts', 'instances', *more)}

    def restore(self):
        for path in (self._pair.primary, self._pair.replica):
            for table, rows in self._rows.items():
                self._pair.sql(path, f'DELETE FROM {table}')
                for row in rows:
                    self._pair.sql(
                        path, f'INSERT INTO {table} VALUES '
                        f"({', '.join('?' * len(row))})", *row)


@pytest.fixture
def backup(manager, pair):
    """Made while the instance was stopped; it was started since."""
    put(pair, **STOPPED)
    found = Backup(pair)
    done(manager, power.START, 'stopped')
    assert row(pair, 'vm_state') == ('active',)
    return found


def put(pair, **columns):
    changes = ', '.join(f'{name} = ?' for name in columns)
    for path in (pair.primary, pair.replica):
        pair.sql(path, f'UPDATE instances SET {changes}', *columns.values())


def row(pair, columns='*'):
    [found] = pair.sql(pair.primary, f'SELECT {columns} FROM instances')
    return found


def done(manager, what, vm_state):
    claim = manager.claims.claim(
        context.new(), UUID, what.name,
        {'vm_state': vm_state, 'task_state': None},
        task_state=what.task_state)
    return operation.perform(manager, context.new(), what, claim)


def new_incarnation(manager, pair, conductor):
    """As `db new-incarnation`, or a failover, begins one."""
    drawn = str(uuid.uuid4())
    pair.sql(pair.primary, 'UPDATE database_identity SET incarnation = ?',
             drawn)
    waiting.wait_for(lambda: conductor.list_replicas(
        context.new())[0]['incarnation'] == drawn, 10, 'the conductor')


def asked(method, *args):
    """Call what is exposed to RPC; raise what its caller gets."""
    try:
        return method(context.new(), *args)
    except messaging.ExpectedException as expected:
        raise expected.exc_info[1] from None


def is_held(manager):
    return list(manager.claims.settled.held()) == [UUID]


@pytest.fixture(params=['announced', 'unannounced'])
def restored(request, manager, pair, fresh, backup):
    """The backup is restored while the host runs."""
    manager._sync_power_states(context.new())
    # So it is long ago: no replica lags that much.
    remember(manager, fresh.state)
    backup.restore()
    if request.param == 'announced':
        new_incarnation(manager, pair, fresh.conductor)
    return row(pair)


def test_a_guest_that_was_started_since_is_not_stopped(
        manager, virt, pair, restored, caplog):
    reports = [manager._sync_power_states(context.new()) for _ in range(3)]
    power_states.check_instance(manager, context.new(), UUID)
    assert [report.acted for report in reports] == [0, 0, 0]
    assert virt.get_instance(UUID).power_state == states.RUNNING
    assert row(pair) == restored
    assert is_held(manager)
    assert metrics.regressed_instances.current()._value.get() == 1
    said = [record.getMessage() for record in caplog.records
            if 'is held' in record.getMessage()]
    assert len(said) == 1 and 'web' in said[0] and 'reconcile' in said[0]


@pytest.mark.parametrize('request_', ['start', 'reboot_hard', 'delete'])
def test_what_a_user_asks_for_is_refused_with_one_clear_error(
        manager, virt, pair, restored, request_):
    begin = {'start': manager.start_instance,
             'reboot_hard': manager.reboot_instance_hard,
             'delete': manager.delete_instance}[request_]
    virt.calls.clear()
    for _ in range(2):
        with pytest.raises(exception.InstanceRegressed,
                           match='reconcile .* --keep-guest'):
            asked(begin, UUID)
    assert row(pair) == restored
    assert not {'power_on', 'power_off', 'reboot', 'destroy'} & {*virt.calls}


def test_its_host_says_why_it_is_held(manager, restored):
    manager._sync_power_states(context.new())
    assert 'says stopped' in asked(manager.get_guest, UUID)['regressed']
    assert asked(manager.list_regressed) == [
        {'uuid': UUID, 'name': 'web'}]


def write_as_another(pair):
    """Let somebody else change the instance, so that its revision rises."""
    for path in (pair.primary, pair.replica):
        pair.sql(path, "UPDATE instances SET name = 'renamed', "
                 'revision = revision + 1000')
        pair.sql(path, 'UPDATE hosts SET revision = revision + 1000')


def test_a_later_write_by_somebody_else_does_not_hide_it(
        manager, virt, pair, fresh, backup):
    manager._sync_power_states(context.new())
    backup.restore()
    new_incarnation(manager, pair, fresh.conductor)
    write_as_another(pair)
    for _ in range(3):
        manager._sync_power_states(context.new())
    assert virt.get_instance(UUID).power_state == states.RUNNING
    assert is_held(manager)


def test_nor_if_nobody_began_a_new_incarnation(
        manager, virt, pair, fresh, backup):
    """The host has seen the clock of the cell show more than it does now."""
    manager._sync_power_states(context.new())
    backup.restore()
    [(number,)] = pair.sql(pair.primary,
                           'SELECT incarnation FROM database_identity')
    manager.claims.seen.note(number, 10 ** 6)
    write_as_another(pair)
    for _ in range(3):
        manager._sync_power_states(context.new())
    assert virt.get_instance(UUID).power_state == states.RUNNING
    assert is_held(manager)


def test_an_operator_may_keep_the_guest(manager, virt, pair, restored):
    manager._sync_power_states(context.new())
    asked(manager.reconcile, UUID, True)
    assert row(pair, 'vm_state, power_state, claim_id') == (
        'active', states.RUNNING, None)
    assert manager._sync_power_states(context.new()).candidates == 0
    assert not is_held(manager)
    done(manager, power.STOP, 'active')
    assert row(pair, 'vm_state') == ('stopped',)
    with pytest.raises(exception.InstanceNotRegressed):
        asked(manager.reconcile, UUID, True)


def test_an_operator_may_keep_the_record(manager, virt, pair, restored):
    manager._sync_power_states(context.new())
    asked(manager.reconcile, UUID, False)
    assert manager._sync_power_states(context.new()).acted == 1
    assert virt.get_instance(UUID).power_state == states.SHUTDOWN


@pytest.mark.parametrize('what, status, uuid', [
    ('attach', 'attached', UUID), ('detach', None, None)])
def test_with_its_guest_its_volumes_are_kept(
        manager, virt, pair, fresh, what, status, uuid):
    """What the guest has and the record lacks, and the other way round."""
    put(pair, **STOPPED)
    volume = test_volumes.made()
    if what == 'detach':
        test_volumes.done(manager, 'attach', volume)
    backup = Backup(pair, 'block_device_mapping')
    test_volumes.done(manager, what, volume)
    done(manager, power.START, 'stopped')
    manager._sync_power_states(context.new())
    remember(manager, fresh.state)
    backup.restore()
    new_incarnation(manager, pair, fresh.conductor)
    manager._sync_power_states(context.new())
    assert test_volumes.read(volume).status != status
    asked(manager.reconcile, UUID, True)
    found = test_volumes.read(volume)
    assert (found.status, found.instance_uuid) == (status, uuid)
    assert row(pair, 'vm_state, claim_id') == ('active', None)
    other = 'detach' if what == 'attach' else 'attach'
    assert test_volumes.done(manager, other, volume).fault is None
    assert test_volumes.of_guest(virt) == (
        [volume.uuid] if other == 'attach' else [])


def test_a_volume_that_somebody_else_has_by_now_stays_theirs(
        manager, virt, pair, restored, caplog):
    manager._sync_power_states(context.new())
    volume = test_volumes.made()
    virt._guests.attach(UUID, driver.Volume(volume.uuid, UUID, '/srv/data'))
    pair.sql(pair.primary, 'INSERT INTO block_device_mapping VALUES '
             "(?, ?, ?, 'attached', '2026-01-01 00:00:00.000000')",
             volume.uuid, volume.uuid, fixtures.SILENT)
    asked(manager.reconcile, UUID, True)
    assert test_volumes.read(volume).instance_uuid == fixtures.SILENT
    assert 'which cannot be recorded' in caplog.text
    assert row(pair, 'vm_state, claim_id') == ('active', None)


def test_a_guest_that_is_gone_cannot_be_kept(manager, virt, pair, restored):
    manager._sync_power_states(context.new())
    virt.vanish(UUID)
    with pytest.raises(exception.GuestNotFound):
        asked(manager.reconcile, UUID, True)
    assert is_held(manager)
    assert row(pair) == restored


@pytest.fixture
def lost(manager, pair, fresh, backup):
    """The backup that is restored lacks the instance; returns its row."""
    found = row(pair)
    manager._sync_power_states(context.new())
    for path in (pair.primary, pair.replica):
        pair.sql(path, 'DELETE FROM instances')
    pair.sql(pair.primary, 'UPDATE hosts SET revision = 3')
    new_incarnation(manager, pair, fresh.conductor)
    manager._sync_power_states(context.new())
    return found


def test_an_instance_that_is_lost_is_held_and_its_guest_left_alone(
        manager, virt, lost, caplog):
    assert is_held(manager)
    assert asked(manager.list_regressed) == [{'uuid': UUID, 'name': 'web'}]
    assert 'says nothing' in asked(manager.get_guest, UUID)['regressed']
    assert virt.get_instance(UUID).power_state == states.RUNNING


ORDERED = 'uuid, name, host, command, vcpus, memory_mb, disk_gb, network'


def test_a_record_that_is_lost_can_be_made_again(
        manager, virt, pair, fresh, lost):
    remember(manager, fresh.state)      # its order is known on disk, too
    virt.calls.clear()
    asked(manager.reconcile, UUID, True)
    assert row(pair, ORDERED) == (
        UUID, 'web', 'h1', 'sleep 1000', 1, 0, 0, 'host')
    assert row(pair, 'vm_state, power_state, claim_id, task_state, fault'
               ) == ('active', states.RUNNING, None, None, None)
    assert None not in row(pair, 'launched_at, first_launched_at')
    assert not is_held(manager)
    assert not {'power_on', 'power_off', 'reboot', 'destroy'} & {*virt.calls}
    assert manager._sync_power_states(context.new()).candidates == 0
    done(manager, power.STOP, 'active')
    assert row(pair, 'vm_state') == ('stopped',)


def test_that_is_repeated_without_harm(manager, virt, pair, lost, lossy):
    lossy(1, before=True)
    with pytest.raises(exception.OutcomeUnknown):
        asked(manager.reconcile, UUID, True)
    assert is_held(manager)
    asked(manager.reconcile, UUID, True)
    assert row(pair, 'vm_state') == ('active',)
    assert not is_held(manager)


def test_or_its_guest_is_left_to_nobody(manager, virt, pair, lost):
    virt.calls.clear()
    asked(manager.reconcile, UUID, False)
    assert not is_held(manager)
    assert pair.sql(pair.primary, 'SELECT uuid FROM instances') == []
    for _ in range(2):
        manager._sync_power_states(context.new())
    assert not {'power_on', 'power_off', 'reboot', 'destroy'} & {*virt.calls}
    assert virt.get_instance(UUID).power_state == states.RUNNING


def test_an_order_that_is_lost_too_is_not_invented(
        manager, pair, lost):
    known = manager.claims.settled
    known._put(UUID, dataclasses.replace(known.get(UUID), order=None))
    with pytest.raises(exception.OrderUnknown, match=UUID):
        asked(manager.reconcile, UUID, True)
    assert pair.sql(pair.primary, 'SELECT uuid FROM instances') == []
    assert is_held(manager)


def test_a_row_of_that_uuid_elsewhere_is_not_overwritten(
        manager, pair, lost):
    pair.add_instance(pair.primary, uuid=UUID, name='other', host='h2')
    before = row(pair)
    with pytest.raises(exception.ComputedError):
        asked(manager.reconcile, UUID, True)
    assert row(pair) == before
    assert is_held(manager)


def test_a_record_that_comes_back_ends_it(manager, pair, fresh, backup):
    right = Backup(pair)
    manager._sync_power_states(context.new())
    backup.restore()
    new_incarnation(manager, pair, fresh.conductor)
    manager._sync_power_states(context.new())
    assert is_held(manager)
    right.restore()
    new_incarnation(manager, pair, fresh.conductor)
    manager._sync_power_states(context.new())
    assert not is_held(manager)


def test_the_next_run_holds_it_too(manager, virt, pair, fresh, restored):
    remember(manager, fresh.state)
    recovered(manager)
    assert is_held(manager)
    remember(manager, fresh.state)
    assert is_held(manager)
    manager._sync_power_states(context.new())
    assert virt.get_instance(UUID).power_state == states.RUNNING


def test_the_first_pass_in_an_incarnation_observes(
        manager, virt, pair, fresh):
    put(pair, **STOPPED)
    manager._sync_power_states(context.new())
    virt.set_power_state(UUID, states.RUNNING, event=False)
    new_incarnation(manager, pair, fresh.conductor)
    power_states.check_instance(manager, context.new(), UUID)
    ctxt = context.new()
    ctxt.accept_repairs = 1
    report = manager._sync_power_states(ctxt)
    assert (report.acted, report.refused) == (0, 1)
    assert ctxt.reads.last.role == 'primary'
    assert virt.get_instance(UUID).power_state == states.RUNNING
    assert manager._sync_power_states(context.new()).acted == 1


def test_a_replica_that_lags_holds_nothing_and_costs_nothing(
        manager, pair, backup):
    for _ in range(2):
        ctxt = context.new()
        assert manager._sync_power_states(ctxt).refused == 0
        assert ctxt.reads.by_role == {'replica': 1}
        assert not is_held(manager)


def recovered(manager):
    recover.recover(
        manager, context.new(), instance_obj.InstanceList.get_by_host(
            context.new(), fixtures.HOST, use_slave=False), lambda: None)


def test_a_claim_that_a_backup_has_is_released_and_not_finished(
        manager, virt, pair, tmp_path):
    put(pair, vm_state='active', power_state=states.RUNNING)
    virt.set_power_state(UUID, states.RUNNING)
    claim = manager.claims.claim(
        context.new(), UUID, 'stop', {'vm_state': 'active'},
        task_state=states.POWERING_OFF)
    backup = Backup(pair)
    operation.perform(manager, context.new(), power.STOP, claim)
    done(manager, power.START, 'stopped')
    backup.restore()
    virt.calls.clear()
    fixtures.successor(manager, journal.Journal(tmp_path / 'claims'))
    recovered(manager)
    assert row(pair, 'vm_state, task_state, claim_id') == (
        'active', None, None)
    assert 'power_off' not in virt.calls
    assert journal.Journal(tmp_path / 'claims').entries() == []
    assert not is_held(manager), 'both say that it is active'


def test_an_act_whose_grant_is_lost_meanwhile_is_held(
        manager, virt, pair):
    put(pair, **STOPPED)
    backup = Backup(pair)
    claim = manager.claims.claim(
        context.new(), UUID, 'start', {'vm_state': 'stopped'},
        task_state=states.POWERING_ON)
    backup.restore()
    operation.perform(manager, context.new(), power.START, claim)
    assert is_held(manager)
    manager._sync_power_states(context.new())
    assert virt.get_instance(UUID).power_state == states.RUNNING


def test_one_whose_service_ended_before_it_is_held_too(
        manager, virt, pair, fresh, tmp_path):
    put(pair, **STOPPED)
    backup = Backup(pair)
    claim = manager.claims.claim(
        context.new(), UUID, 'start', {'vm_state': 'stopped'},
        task_state=states.POWERING_ON)
    virt.power_on(claim)
    backup.restore()
    fixtures.successor(manager, journal.Journal(tmp_path / 'claims'))
    remember(manager, fresh.state)
    recovered(manager)
    manager._sync_power_states(context.new())
    assert virt.get_instance(UUID).power_state == states.RUNNING
    assert is_held(manager)


def test_a_guest_whose_record_is_lost_is_not_nobodys(
        manager, virt, pair, backup, caplog):
    pair.sql(pair.primary, 'DELETE FROM instances')
    pair.sql(pair.primary, 'UPDATE hosts SET revision = 3')
    recovered(manager)
    listing = absence.listing(manager.claims, context.new())
    with pytest.raises(exception.InstanceRegressed):
        absence.claim(manager.claims, context.new(), listing, UUID, 'remove')


def test_an_instance_that_was_deleted_since_does_not_come_back(
        manager, pair):
    put(pair, **STOPPED)
    backup = Backup(pair)
    manager.delete_instance(context.new(), UUID)
    manager.workers.shutdown(wait=True)
    backup.restore()
    manager._sync_power_states(context.new())
    with pytest.raises(exception.InstanceRegressed, match='deleted'):
        manager.claims.claim(context.new(), UUID, 'start', {})
    asked(manager.reconcile, UUID, True)
    assert row(pair, 'vm_state, deleted') == ('deleted', 1)


def test_an_end_that_is_told_twice_is_no_loss(manager, pair, lossy):
    put(pair, **STOPPED)
    claim = manager.claims.claim(
        context.new(), UUID, 'start', {'vm_state': 'stopped'})
    lossy(1)
    operation.perform(manager, context.new(), power.START, claim)
    [entry] = manager.claims.journal.entries()
    manager.claims.tell(context.new(), entry)
    assert not is_held(manager)
    assert manager.claims.settled.get(UUID).vm_state == 'active'


def test_nor_is_one_that_is_told_while_another_request_reads_the_row(
        manager, pair, lossy, monkeypatch):
    put(pair, **STOPPED)
    claim = manager.claims.claim(
        context.new(), UUID, 'start', {'vm_state': 'stopped'})
    lossy(1, before=True)
    operation.perform(manager, context.new(), power.START, claim)
    real = instance_obj.Instance.get_by_uuid

    def slow(*args, **kwargs):
        found = real(*args, **kwargs)
        recovery.replay(manager.claims, context.new())
        return found
    monkeypatch.setattr(instance_obj.Instance, 'get_by_uuid', slow)
    with pytest.raises(exception.InstanceBusy):
        operation.claimed(manager, context.new(), power.STOP, UUID)
    assert not is_held(manager)
    assert manager.claims.settled.get(UUID).vm_state == 'active'
