"""Guests whose instances are deleted, and the task that sees to them.

The lists of the task can be old in three ways; see test_power_sync.
"""

import logging

import pytest

from computed import clock
from computed import context
from computed import exception
from computed import states
from computed.objects import instance as instance_obj
from computed.tasks import running_deleted
from computed.virt import claim as virt_claim
from tests.functional import test_pending_deletes as pending
from tests.functional import test_power_sync
from tests.functional import test_soft_delete as soft_delete
from tests.support import fixtures

UUID, TASK = fixtures.UUID, running_deleted.TASK
put, add_guest = test_power_sync.put, test_power_sync.add_guest
many_uuid, Intruder = test_power_sync.many_uuid, test_power_sync.Intruder
rival = test_power_sync.rival
guests, manager = soft_delete.guests, test_power_sync.manager
LONG_AGO, GONE, LIVE = (
    soft_delete.LONG_AGO, pending.DELETED,
    {'deleted': 0, 'deleted_at': None, 'vm_state': 'active'})
RUNS = {UUID: states.RUNNING}


def run(manager, accept=None):
    ctxt = context.new()
    ctxt.accept_repairs = accept
    return manager._cleanup_running_deleted_instances(ctxt)


def act(manager, action):
    manager.conf.set_override(
        'running_deleted_instance_action', action, 'tasks')


@pytest.fixture
def back(pair, manager, virt):
    """Its instance is deleted, on both databases, and its guest runs."""
    put(pair, **GONE)
    add_guest(manager, virt)
    return manager


def row(pair):
    [found] = pair.sql(
        pair.primary, 'SELECT vm_state, deleted, power_state, cleaned, '
        'claim_id FROM instances WHERE uuid = ?', UUID)
    return found


DELETED = ('deleted', 1, states.NOSTATE)


def test_a_hundred_instances_and_nothing_to_do(pair, manager, virt, calls):
    add_guest(manager, virt)
    for number in range(99):
        add_guest(manager, virt, many_uuid(number))
        for path in (pair.primary, pair.replica):
            pair.add_instance(path, uuid=many_uuid(number), name='m')
    ctxt = context.new()
    report = manager._cleanup_running_deleted_instances(ctxt)
    assert report.candidates == 0
    assert calls == ['get_part_by_host']
    assert ctxt.reads.by_role == {'replica': 1}


def test_a_host_without_guests_asks_nothing(manager, calls):
    assert run(manager).candidates == 0
    assert calls == []


@pytest.mark.parametrize('power', [
    states.RUNNING, states.SHUTDOWN, states.POWER_PAUSED])
def test_it_is_destroyed_with_its_files(pair, back, virt, power):
    virt.set_power_state(UUID, power)
    report = run(back)
    assert (report.candidates, report.acted) == (1, 1)
    assert guests(virt) == {}
    assert row(pair) == (*DELETED, 1, None)
    [(operation, result)] = pair.sql(
        pair.primary, 'SELECT operation, result FROM events WHERE claim_id '
        'IS NOT NULL')
    assert (operation, result) == (TASK, 'done')
    assert run(back).candidates == 0


def test_files_that_stay_are_of_the_other_task(pair, back, virt):
    virt.stuck = pending.STUCK
    assert run(back).acted == 1
    assert pending.row(pair)[:3] == (0, 1, 0)


def test_it_may_be_shut_down(pair, back, virt):
    act(back, 'shutdown')
    assert run(back).acted == 1
    assert guests(virt) == {UUID: states.SHUTDOWN}
    assert row(pair)[:3] == ('deleted', 1, states.SHUTDOWN)
    assert run(back).acted == 0


def test_that_it_was_shut_down_is_recorded_later(pair, back, virt):
    """This host ended in between."""
    act(back, 'shutdown')
    virt.set_power_state(UUID, states.SHUTDOWN)
    assert run(back).acted == 1
    assert row(pair)[:3] == ('deleted', 1, states.SHUTDOWN)


def test_it_may_be_logged(pair, back, virt, caplog):
    act(back, 'log')
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert run(back).candidates == 0
    assert caplog.text.count(f'Instance web ({UUID}) is deleted') == 1
    assert guests(virt) == RUNS


def test_it_may_be_ignored(back, virt, calls):
    act(back, 'noop')
    assert 'noop' in run(back).note
    assert calls == [] and guests(virt) == RUNS


@pytest.mark.parametrize('mode, note', [
    ('observe', 'would have repaired 1'), ('off', 'mode is off')])
def test_the_modes(pair, back, virt, mode, note):
    back.conf.set_override('running_deleted_instance_mode', mode, 'tasks')
    report = run(back)
    assert (report.acted, report.note) == (0, note)
    assert guests(virt) == RUNS


def test_it_is_left_alone_for_a_time(pair, back, virt):
    back.database_time.learn(clock.time())
    back.conf.set_override(
        'running_deleted_instance_timeout', 10 ** 9, 'tasks')
    assert run(back).candidates == 0
    back.conf.set_override('running_deleted_instance_timeout', 60, 'tasks')
    # By the clock of the cell, which nobody sets, it is not so long.
    put(pair, state_counted_at=10 ** 9)
    report = run(back)
    assert (report.acted, report.lost_races) == (0, 1)
    assert guests(virt) == RUNS
    put(pair, state_counted_at=-100)
    assert run(back).acted == 1


def test_a_clock_that_was_set_back_makes_it_no_later(pair, back):
    back.conf.set_override('running_deleted_instance_timeout', 60, 'tasks')
    put(pair, deleted_at='2999-01-01 00:00:00.000000', state_counted_at=-100)
    assert run(back).acted == 1


@pytest.mark.parametrize('columns', [
    {'deleted_at': None}, {'deleted': 0, 'vm_state': 'soft-delete'}])
def test_what_may_not_be_deleted_for_good_is_kept(
        pair, back, virt, columns):
    put(pair, **columns)
    assert run(back).candidates == 0
    assert guests(virt) == RUNS


@pytest.mark.parametrize('owner', [None, virt_claim.Owner('other', 'h1')])
def test_a_guest_of_somebody_else_is_kept(pair, manager, virt, owner):
    put(pair, **GONE)
    virt.add_foreign(UUID, owner)
    assert run(manager).candidates == 0
    assert guests(virt) == RUNS


def test_an_answer_that_is_not_whole_is_none(back, virt):
    virt.complete = False
    assert 'incomplete' in run(back).note


def test_a_guest_that_cannot_be_destroyed_stops_no_other(pair, back, virt):
    for path in (pair.primary, pair.replica):
        pair.add_instance(path, uuid=many_uuid(1), name='m', **GONE)
    add_guest(back, virt, many_uuid(1))
    virt.fail_next('destroy', exception.DriverTimeout(
        timeout=1, operation='destroy'))
    report = run(back)
    assert (report.acted, report.failed) == (1, 1)
    assert run(back).acted == 1


def test_too_many_are_left_to_an_operator(pair, back, virt, caplog):
    for number in range(11):
        add_guest(back, virt, many_uuid(number))
        for path in (pair.primary, pair.replica):
            pair.add_instance(path, uuid=many_uuid(number), name='m', **GONE)
    with caplog.at_level(logging.ERROR):
        report = run(back)
    assert (report.acted, report.refused) == (0, 12)
    assert f'task run {TASK}' in caplog.text
    assert run(back, accept=12).acted == 12


# -- the lists are old

def test_it_comes_later_if_the_replica_lags(pair, back, virt):
    put(pair, 'replica', **LIVE)
    assert run(back).candidates == 0


def test_a_live_instance_is_kept_though_the_replica_says_otherwise(
        pair, back, virt):
    put(pair, 'primary', **LIVE)
    report = run(back)
    assert (report.acted, report.lost_races) == (0, 1)
    assert guests(virt) == RUNS


@pytest.mark.parametrize('change', [
    LIVE, {'deleted_at': '2026-02-01 00:00:00.000000'}])
def test_a_change_between_list_and_act_wins(
        pair, back, virt, after_list, change):
    after_list(running_deleted.POLICY, lambda: put(
        pair, 'primary', **change))
    pair.stop_replication()     # the primary answers
    report = run(back)
    assert (report.acted, report.lost_races) == (0, 1)
    assert guests(virt) == RUNS


def test_a_change_between_guard_and_write_is_refused(pair, back, virt):
    refused = []
    back.driver = Intruder(virt, 'destroy', before=rival(
        back, refused, {'deleted': True}))
    assert run(back).acted == 1
    assert len(refused) == 1 and guests(virt) == {}


def test_a_guest_that_has_gone_meanwhile_is_no_trouble(
        pair, back, virt, after_list):
    after_list(running_deleted.POLICY, lambda: virt.vanish(UUID))
    assert run(back).lost_races == 1
    assert row(pair)[:3] == DELETED


# -- instances of other hosts, and of none

@pytest.fixture
def elsewhere(pair, back):
    put(pair, host='h2')
    return back


@pytest.mark.parametrize('action, after', [
    ('reap', {}), ('shutdown', {UUID: states.SHUTDOWN}), ('log', RUNS)])
def test_the_instance_may_have_been_elsewhere(
        pair, elsewhere, virt, caplog, action, after):
    act(elsewhere, action)
    before = row(pair)
    report = run(elsewhere)
    assert report.acted == (action != 'log')
    assert guests(virt) == after and row(pair) == before
    assert pair.sql(pair.primary, 'SELECT * FROM guest_claims') == []
    assert f'Instance web ({UUID}) of host h2' in caplog.text or (
        action != 'log')


def test_it_is_kept_if_it_is_live_there(pair, elsewhere, virt):
    put(pair, 'primary', **LIVE)
    report = run(elsewhere)
    assert (report.acted, report.lost_races) == (0, 1)
    assert guests(virt) == RUNS


def test_an_operator_may_only_observe_there(pair, elsewhere, virt):
    elsewhere.conf.set_override(
        'running_deleted_instance_mode', 'observe', 'tasks')
    assert run(elsewhere).refused == 1
    assert guests(virt) == RUNS


def test_a_guest_without_an_instance_is_told_once(
        pair, manager, virt, caplog):
    add_guest(manager, virt, many_uuid(5))
    for path in (pair.primary, pair.replica):
        pair.sql(path, 'DELETE FROM instances')
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert run(manager).candidates == 0
    assert caplog.text.count(many_uuid(5)) == 1
    assert guests(virt) == {many_uuid(5): states.RUNNING}


def test_a_new_instance_that_the_replica_lacks_is_known(
        pair, manager, virt, caplog):
    add_guest(manager, virt)
    pair.sql(pair.replica, 'DELETE FROM instances')
    with caplog.at_level(logging.WARNING):
        assert run(manager).candidates == 0
    assert 'have no instance' not in caplog.text


def test_what_a_crash_has_left_is_of_the_task_for_files(
        pair, back, virt):
    put(pair, cleaned=1)
    before = row(pair)
    # It dies between the end of the guest and the end of the claim.
    found = instance_obj.Instance.get_by_uuid(context.new(), UUID)
    virt.destroy(back.claims.claim_all(
        context.new(), TASK, running_deleted.POLICY.wanted(back, found)))
    assert row(pair)[3] == 0
    fixtures.successor(back)
    [columns] = pair.sql(pair.primary, 'SELECT cleaned, claim_id, claim_owner '
                         'FROM instances')
    put(pair, 'replica', **dict(zip(
        ('cleaned', 'claim_id', 'claim_owner'), columns, strict=True)))
    for entry in back.claims.journal.entries():
        back.claims.journal.forget(entry.claim_id)
    assert pending.run(back).candidates == 0
    put(pair, 'replica', claim_id=None, claim_owner=None)
    assert pending.run(back).acted == 1
    assert row(pair) == before


def test_a_claim_that_a_crash_has_left_is_released(pair, back, virt):
    back.claims.claim(context.new(), UUID, TASK, {'deleted': True})
    for entry in back.claims.journal.entries():
        back.claims.journal.forget(entry.claim_id)
    fixtures.successor(back)
    [[claim_id, owner]] = pair.sql(
        pair.primary, 'SELECT claim_id, claim_owner FROM instances')
    put(pair, 'replica', claim_id=claim_id, claim_owner=owner)
    assert run(back).candidates == 0
    put(pair, 'replica', claim_id=None, claim_owner=None)
    assert run(back).acted == 1
    assert guests(virt) == {}
