"""Soft delete, restore, and the task that deletes for good in the end.

The list of the task can be old in three ways; see test_power_sync.
"""

import datetime
import json
import logging

import oslo_messaging as messaging
import pytest

from computed import concurrency
from computed import context
from computed import exception
from computed import states
from computed.tasks import reclaim
from computed.usage import database_time
from tests.functional import test_freeze
from tests.functional import test_power_sync
from tests.support import fixtures

UUID = fixtures.UUID
DAY = 86400
# By the clock of the cell, which shows 0 here.
COUNTED = -30 * DAY
LONG_AGO = '2026-01-01 00:00:00.000000'
manage = test_freeze.manage
put, add_guest = test_power_sync.put, test_power_sync.add_guest
many_uuid, Intruder = test_power_sync.many_uuid, test_power_sync.Intruder


@pytest.fixture
def manager(fresh, virt):
    fresh.conf.set_override('reclaim_instance_interval', DAY, 'tasks')
    return fresh.manager(virt)


def row(pair, columns='vm_state, deleted, deleted_at IS NOT NULL, '
                      'task_state, claim_id, fault'):
    [found] = pair.sql(pair.primary, f'SELECT {columns} FROM instances '
                       'WHERE uuid = ?', UUID)
    return found


def perform(manager, name):
    getattr(manager, name)(context.new(), UUID)
    manager.workers.shutdown(wait=True)
    manager.workers = concurrency.executor('operation', 1)


def guests(virt):
    return {uuid: info.power_state for uuid, info
            in virt.list_instances().instances.items()}


@pytest.fixture
def running(pair, manager, virt):
    put(pair, launched_at=LONG_AGO, power_state=states.RUNNING)
    add_guest(manager, virt)
    return manager


@pytest.fixture
def due(pair, manager, virt):
    """Its time is over, on both databases."""
    put(pair, vm_state='soft-delete', deleted_at=LONG_AGO,
        state_counted_at=COUNTED, launched_at=LONG_AGO,
        power_state=states.SHUTDOWN)
    add_guest(manager, virt, power_state=states.SHUTDOWN)
    return manager


SOFT = ('soft-delete', 0, 1, None, None, None)
ACTIVE = ('active', 0, 0, None, None, None)
GONE = ('deleted', 1, 1, None, None, None)


# -- the operations

def test_a_delete_stops_the_guest_and_a_restore_starts_it(
        pair, running, virt):
    perform(running, 'delete_instance')
    assert row(pair) == SOFT
    assert guests(virt) == {UUID: states.SHUTDOWN}
    perform(running, 'restore_instance')
    assert row(pair) == ACTIVE
    assert guests(virt) == {UUID: states.RUNNING}


def test_without_an_interval_it_is_deleted_at_once(pair, running, virt):
    running.conf.set_override('reclaim_instance_interval', 0, 'tasks')
    perform(running, 'delete_instance')
    assert row(pair) == GONE and guests(virt) == {}


@pytest.mark.parametrize('before', ['active', 'soft-delete'])
def test_a_hard_delete_waits_for_nothing(pair, running, virt, before):
    put(pair, vm_state=before)
    perform(running, 'delete_instance_hard')
    assert row(pair) == GONE and guests(virt) == {}


def test_what_never_ran_is_deleted_at_once(pair, manager, virt):
    put(pair, vm_state='error')
    perform(manager, 'delete_instance')
    assert row(pair) == GONE


def test_an_instance_without_a_guest_can_be_deleted_softly(
        pair, manager, virt):
    put(pair, launched_at=LONG_AGO)
    perform(manager, 'delete_instance')
    assert row(pair) == SOFT


@pytest.mark.parametrize('name, vm_state', [
    ('delete_instance', 'soft-delete'), ('restore_instance', 'stopped'),
    ('start_instance', 'soft-delete')])
def test_what_makes_no_sense_is_refused(pair, running, name, vm_state):
    put(pair, vm_state=vm_state)
    before = row(pair)
    with pytest.raises(messaging.ExpectedException) as refused:
        getattr(running, name)(context.new(), UUID)
    assert refused.value.exc_info[0] is exception.InstanceInWrongState
    assert row(pair) == before


def test_a_restore_that_fails_changes_nothing(pair, due, virt):
    virt.fail_next('power_on', exception.DriverError(reason='no memory'))
    perform(due, 'restore_instance')
    assert row(pair)[:3] == SOFT[:3] and 'no memory' in row(pair, 'fault')[0]


def test_the_power_sync_leaves_it_alone(pair, due, virt):
    report = due._sync_power_states(context.new())
    assert (report.candidates, report.acted) == (0, 0)
    assert row(pair) == SOFT


def test_the_command_line(pair, running, virt):
    perform(running, 'delete_instance_hard')
    status, said = manage(pair, 'instance', 'list', '--deleted', '--strict',
                          '-f', 'json')
    [shown] = json.loads(said)
    assert status == 0 and shown['uuid'] == UUID
    assert shown['deleted_at'] == shown['terminated_at'] is not None
    status, said = manage(pair, 'instance', 'list', '--strict', '-f', 'json')
    assert (status, json.loads(said)) == (0, [])


def test_what_is_soft_deleted_shows_when(pair, due):
    _, said = manage(pair, 'instance', 'show', UUID, '-f', 'json')
    assert json.loads(said)['deleted_at'] == '2026-01-01T00:00:00Z'
    _, said = manage(pair, 'instance', 'list', '--vm-state', 'soft-delete',
                     '-f', 'json')
    assert [one['uuid'] for one in json.loads(said)] == [UUID]


# -- the task

def run(manager, ctxt=None):
    return manager._reclaim_queued_deletes(ctxt or context.new())


def test_a_hundred_instances_and_nothing_to_do(pair, due, virt, calls):
    for path in (pair.primary, pair.replica):
        pair.sql(path, "UPDATE instances SET vm_state = 'active'")
        for number in range(99):
            pair.add_instance(path, uuid=many_uuid(number), name='m')
    ctxt = context.new()
    report = run(due, ctxt)
    assert (report.candidates, report.acted) == (0, 0)
    assert len(calls) == 1 and ctxt.reads.by_role == {'replica': 1}


def test_without_an_interval_it_asks_nothing(due, calls):
    due.conf.set_override('reclaim_instance_interval', 0, 'tasks')
    assert 'reclaim_instance_interval is 0' in run(due).note
    assert calls == []


def test_what_is_due_is_deleted(pair, due, virt):
    report = run(due)
    assert (report.candidates, report.acted) == (1, 1)
    assert row(pair) == GONE and guests(virt) == {}
    [(operation, result, reason)] = pair.sql(
        pair.primary, 'SELECT operation, result, reason FROM events '
        'WHERE claim_id IS NOT NULL')
    assert (operation, result) == (reclaim.TASK, 'done')
    assert reason.startswith('soft-delete and SHUTDOWN on replica')


def test_what_is_not_due_is_kept(pair, running, virt):
    perform(running, 'delete_instance')
    pair.sql(pair.replica, "UPDATE instances SET vm_state = 'soft-delete', "
             'deleted_at = ?', LONG_AGO)
    # It was restored since, and deleted again.
    report = run(running)
    assert (report.candidates, report.acted, report.lost_races) == (1, 0, 1)
    assert row(pair) == SOFT


@pytest.mark.parametrize('vm_state, due_after', [
    ('soft-delete', 60), ('active', DAY)])
def test_it_looks_again_when_the_next_one_can_be_due(
        pair, due, virt, vm_state, due_after):
    """What is deleted softly later is due later."""
    begun = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp()
    listed = now = begun + DAY - 60
    due.database_time = database_time.DatabaseTime(own=lambda: now)
    put(pair, vm_state=vm_state)
    for now, looks in ((listed, True), (listed + 1, False),
                       (listed + due_after - 9, False),
                       (listed + due_after + 9, True)):
        ctxt = context.new()
        run(due, ctxt)
        assert bool(ctxt.reads.by_role) is looks, now


def test_a_time_that_is_unknown_is_not_over(pair, due, virt):
    put(pair, deleted_at=None)
    assert run(due).candidates == 0


def restore(pair):
    put(pair, 'primary', vm_state='active', deleted_at=None)


def test_a_restored_instance_is_kept_though_the_replica_lags(
        pair, due, virt):
    restore(pair)
    virt.set_power_state(UUID, states.RUNNING)
    report = run(due)
    assert (report.acted, report.lost_races) == (0, 1)
    assert guests(virt) == {UUID: states.RUNNING}
    assert row(pair) == ACTIVE


def test_a_restore_between_list_and_act_wins(pair, due, virt, after_list):
    after_list(reclaim.POLICY, lambda: restore(pair))
    pair.stop_replication()     # the primary answers
    report = run(due)
    assert (report.acted, report.lost_races) == (0, 1)
    assert UUID in guests(virt) and row(pair) == ACTIVE


def test_a_restore_between_guard_and_write_is_refused(pair, due, virt):
    refused = []

    def ask():
        try:
            due.claims.claim(
                context.new(), UUID, 'restore',
                {'vm_state': 'soft-delete', 'task_state': None},
                task_state=states.RESTORING)
        except exception.ClaimLost as error:
            refused.append(error)
    due.driver = Intruder(virt, 'destroy', before=ask)
    assert run(due).acted == 1
    assert len(refused) == 1 and row(pair) == GONE


@pytest.mark.parametrize('mode, note', [
    ('observe', 'would have repaired 1'), ('off', 'mode is off')])
def test_the_modes(pair, due, virt, mode, note):
    due.conf.set_override('reclaim_instance_mode', mode, 'tasks')
    report = run(due)
    assert (report.acted, report.note) == (0, note)
    assert row(pair) == SOFT and UUID in guests(virt)


def test_too_many_are_left_to_an_operator(pair, due, virt, caplog):
    for path in (pair.primary, pair.replica):
        for number in range(11):
            pair.add_instance(path, uuid=many_uuid(number), name='m',
                              vm_state='soft-delete', deleted_at=LONG_AGO,
                              state_counted_at=COUNTED)
    ctxt = context.new()
    with caplog.at_level(logging.ERROR):
        report = run(due, ctxt)
    assert (report.acted, report.refused) == (0, 12)
    assert f'task run {reclaim.TASK}' in caplog.text
    ctxt = context.new()
    ctxt.accept_repairs = 12
    assert run(due, ctxt).acted == 12


def test_a_clock_that_jumps_deletes_nothing_early(pair, due, virt):
    """It was wrong at the delete, or it is wrong now."""
    put(pair, state_counted_at=0)
    pair.sql(pair.primary, 'UPDATE cell_clock SET seconds = ?', DAY - 1)
    report = run(due)
    assert (report.candidates, report.acted, report.lost_races) == (1, 0, 1)
    assert row(pair)[0] == 'soft-delete' and 'destroy' not in virt.calls
    pair.sql(pair.primary, 'UPDATE cell_clock SET seconds = ?', DAY)
    assert run(due).acted == 1


def test_a_guest_that_cannot_be_destroyed_stops_no_other(pair, due, virt):
    for path in (pair.primary, pair.replica):
        pair.add_instance(path, uuid=many_uuid(1), name='m',
                          vm_state='soft-delete', deleted_at=LONG_AGO,
                          state_counted_at=COUNTED)
    virt.fail_next('destroy', exception.DriverTimeout(
        timeout=1, operation='destroy'))
    report = run(due)
    assert (report.acted, report.failed) == (1, 1)
    assert run(due).acted == 1
