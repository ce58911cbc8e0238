"""Files that deleted instances have left, and the task that removes them.

The list of the task can be old in three ways; see test_power_sync.
"""

import logging

import pytest

from computed import clock
from computed import context
from computed import states
from computed.claims import absence
from computed.objects import instance as instance_obj
from computed.tasks import pending_deletes
from tests.functional import test_power_sync
from tests.functional import test_soft_delete as soft_delete
from tests.support import fixtures

UUID = fixtures.UUID
LONG_AGO = soft_delete.LONG_AGO
put, add_guest = test_power_sync.put, test_power_sync.add_guest
many_uuid, Intruder = test_power_sync.many_uuid, test_power_sync.Intruder
rival = test_power_sync.rival
perform, guests = soft_delete.perform, soft_delete.guests
manager = test_power_sync.manager
DELETED = {'vm_state': 'deleted', 'deleted': 1, 'deleted_at': LONG_AGO,
           'state_counted_at': -10 ** 5,
           'terminated_at': LONG_AGO, 'power_state': states.NOSTATE,
           'clean_attempts': 1}
STUCK = 'Device or resource busy'


def row(pair, uuid=UUID):
    """Return cleaned, clean_attempts, clean_failed, and why."""
    [found] = pair.sql(
        pair.primary, 'SELECT cleaned, clean_attempts, clean_failed, fault '
        'FROM instances WHERE uuid = ?', uuid)
    return found


def run(manager, accept=None):
    ctxt = context.new()
    ctxt.accept_repairs = accept
    return manager._run_pending_deletes(ctxt)


@pytest.fixture
def left(pair, manager, virt):
    """Its instance is deleted, on both databases, and has left files."""
    put(pair, **DELETED)
    virt.leave_files(UUID)
    return manager


def add(pair, virt, number, **columns):
    """Add a deleted instance with files; return its uuid."""
    uuid = many_uuid(number)
    for path in (pair.primary, pair.replica):
        pair.add_instance(path, uuid=uuid, name='m', **{
            **DELETED, **columns})
    virt.leave_files(uuid)
    return uuid


# -- the first attempt is the delete

def test_a_delete_removes_the_files(pair, manager, virt):
    add_guest(manager, virt)
    perform(manager, 'delete_instance')
    assert row(pair) == (1, 0, 0, None)


def test_files_that_stay_do_not_keep_an_instance_from_being_deleted(
        pair, manager, virt, caplog):
    add_guest(manager, virt)
    virt.stuck = STUCK
    with caplog.at_level(logging.WARNING):
        perform(manager, 'delete_instance')
    assert soft_delete.row(pair)[:2] == ('deleted', 1)
    assert row(pair) == (0, 1, 0, None)
    assert f'Instance web ({UUID})' in caplog.text and STUCK in caplog.text


@pytest.mark.parametrize('attempts, seconds, due', [
    (0, 0, True), (1, 299, False), (1, 300, True), (2, 899, False),
    (2, 900, True), (4, 4499, False), (4, 4500, True),
    (2000, 1e9, False)])
def test_between_two_attempts_there_is_twice_the_time(
        attempts, seconds, due):
    deleted = instance_obj.Instance(
        clean_attempts=attempts, terminated_at=None,
        deleted_at='2026-01-01T00:00:00Z')
    now = deleted.deleted_at.timestamp() + seconds
    assert pending_deletes.is_due(deleted, now, 300) == due
    deleted.deleted_at = None
    assert not pending_deletes.is_due(deleted, now, 300)


# -- the task

def test_a_hundred_instances_and_nothing_to_do(pair, manager, virt, calls):
    for path in (pair.primary, pair.replica):
        for number in range(99):
            pair.add_instance(path, uuid=many_uuid(number), name='m')
    ctxt = context.new()
    assert manager._run_pending_deletes(ctxt).candidates == 0
    assert calls == ['get_uncleaned']
    assert ctxt.reads.by_role == {'replica': 1}


def test_what_is_left_is_removed(pair, left, virt):
    report = run(left)
    assert (report.candidates, report.acted) == (1, 1)
    assert row(pair) == (1, 1, 0, None)
    assert virt.list_instance_files() == {}
    assert pair.sql(pair.primary, 'SELECT operation, result FROM events '
                    'WHERE claim_id IS NOT NULL') == [
                        (pending_deletes.TASK, 'done')]
    # The replica still shows it.
    assert (run(left).acted, run(left).lost_races) == (0, 1)


def test_the_clock_of_the_cell_says_when_it_is_tried_again(pair, left, virt):
    """That of the database was set back meanwhile, or forth."""
    for ended in ('2999', '2020'):
        pair.sql(pair.primary, 'UPDATE instances SET state_counted_at = 0, '
                 'terminated_at = ?', f'{ended}-01-01 00:00:00.000000')
        assert run(left).lost_races == 1
    pair.sql(pair.primary, 'UPDATE instances SET state_counted_at = -300')
    assert run(left).acted == 1


def test_the_operator_is_called_once(pair, left, virt, caplog):
    left.conf.set_override('maximum_instance_delete_attempts', 3, 'tasks')
    virt.stuck = STUCK
    assert run(left).failed == 1
    assert row(pair)[:3] == (0, 2, 0)
    assert STUCK in row(pair)[3]
    put(pair, 'replica', clean_attempts=2)
    with caplog.at_level(logging.ERROR):
        assert run(left).failed == 1
    assert row(pair)[:3] == (0, 3, 1)
    assert 'left to the operator after 3 attempts' in caplog.text
    put(pair, 'replica', clean_attempts=3, clean_failed=1)
    virt.calls.clear()
    assert run(left).candidates == 0
    assert 'destroy' not in virt.calls


def test_fewer_attempts_may_be_allowed_later(pair, left, virt):
    put(pair, clean_attempts=4)
    left.conf.set_override('maximum_instance_delete_attempts', 2, 'tasks')
    virt.calls.clear()
    assert run(left).failed == 1
    assert row(pair)[:3] == (0, 5, 1) and 'destroy' not in virt.calls


def test_one_that_fails_stops_no_other(pair, left, virt):
    add(pair, virt, 1)
    virt.fail_next('destroy', RuntimeError('a bug'))
    report = run(left)
    assert (report.acted, report.failed) == (1, 1)
    assert sorted(pair.sql(pair.primary, 'SELECT cleaned, clean_attempts '
                           'FROM instances')) == [(0, 2), (1, 1)]


def test_what_is_not_due_is_left(pair, left, virt):
    put(pair, terminated_at='2026-06-01 00:00:00.000000')
    left.database_time.learn(clock.time())
    left.conf.set_override('instance_delete_interval', 10 ** 9, 'tasks')
    assert run(left).candidates == 0
    assert row(pair)[0] == 0


def test_a_guest_that_is_there_is_of_another_task(pair, left, virt):
    add_guest(left, virt)
    assert run(left).candidates == 0
    assert guests(virt) == {UUID: states.RUNNING} and row(pair)[0] == 0


def test_a_guest_that_comes_back_meanwhile_stays(pair, left, virt):
    left.driver = Intruder(virt, 'delete_instance_files', before=lambda:
                           add_guest(left, virt))
    assert run(left).failed == 1
    assert guests(virt) == {UUID: states.RUNNING} and row(pair)[0] == 0


# -- a backlog that comes in pages

def test_finished_rows_of_a_lagging_replica_hide_no_others(pair, left, virt):
    uuids = [UUID, *(add(pair, virt, number) for number in range(250))]
    pair.sql(pair.primary, 'UPDATE instances SET cleaned = 1 WHERE uuid < ?',
             many_uuid(120))
    for uuid in uuids:
        if row(pair, uuid)[0]:
            virt._guests.clean(uuid)
    virt.calls.clear()
    report = run(left)
    assert (report.acted, report.lost_races) == (131, 120)
    assert virt.calls.count('destroy') == 131
    assert virt.list_instance_files() == {}
    # Nothing is done twice, though the replica shows all of them still.
    report = run(left)
    assert (report.acted, report.lost_races) == (0, 251)
    assert virt.calls.count('destroy') == 131


# -- the list is old

def test_one_that_is_cleaned_is_left_though_the_replica_lags(
        pair, left, virt):
    put(pair, 'primary', cleaned=1)
    report = run(left)
    assert (report.acted, report.lost_races) == (0, 1)
    assert UUID in virt.list_instance_files()


def test_one_that_is_deleted_comes_later_if_the_replica_lags(
        pair, left, virt):
    put(pair, 'replica', deleted=0, vm_state='active')
    assert run(left).candidates == 0
    assert row(pair)[0] == 0


@pytest.mark.parametrize('change', [
    {'cleaned': 1}, {'clean_attempts': 2}, {'clean_failed': 1},
    {'deleted': 0, 'vm_state': 'stopped'}, {'guest_left': 1}])
def test_a_change_between_list_and_act_wins(
        pair, left, virt, after_list, change):
    after_list(pending_deletes.POLICY, lambda: put(
        pair, 'primary', **change))
    pair.stop_replication()     # the primary answers
    report = run(left)
    assert (report.acted, report.lost_races) == (0, 1)
    assert UUID in virt.list_instance_files()


def test_a_change_between_guard_and_write_is_refused(pair, left, virt):
    refused = []
    left.driver = Intruder(virt, 'delete_instance_files', before=rival(
        left, refused, {'deleted': True}))
    assert run(left).acted == 1
    assert len(refused) == 1 and row(pair)[0] == 1


# -- what an operator may limit

@pytest.mark.parametrize('mode, note', [
    ('observe', 'would have repaired 1'), ('off', 'mode is off')])
def test_the_modes(pair, left, virt, mode, note):
    left.conf.set_override('instance_delete_mode', mode, 'tasks')
    report = run(left)
    assert (report.acted, report.note) == (0, note)
    assert row(pair)[0] == 0 and UUID in virt.list_instance_files()


def test_the_brake_holds_what_no_delete_has_recorded(pair, left, virt):
    for number in range(12):
        add(pair, virt, number, clean_attempts=0)
    report = run(left)
    # What the delete itself has recorded goes on.
    assert (report.acted, report.refused) == (1, 12)
    assert run(left, accept=12).acted == 12
    assert virt.list_instance_files() == {}


# -- files of nobody

def test_files_that_are_there_again_are_removed_again(pair, left, virt):
    put(pair, cleaned=1)
    assert run(left).acted == 1
    assert virt.list_instance_files() == {}


def test_files_of_no_instance_are_told_once(pair, manager, virt, caplog):
    nobody = many_uuid(7)
    virt.leave_files(nobody)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert run(manager).candidates == 0
    assert caplog.text.count(nobody) == 1
    assert virt.list_instance_files().keys() == {nobody}
    virt.files_age = 1      # somebody is at work there
    with caplog.at_level(logging.WARNING):
        run(manager)
        virt.files_age = 1e6
        run(manager)
    assert caplog.text.count(nobody) == 2


@pytest.fixture
def nobody(manager, virt):
    manager.conf.set_override('remove_unknown_files', True, 'tasks')
    virt.leave_files(many_uuid(7))
    return manager


def test_they_may_be_removed(pair, nobody, virt):
    report = run(nobody)
    assert (report.candidates, report.acted) == (1, 1)
    assert virt.list_instance_files() == {}
    assert pair.sql(pair.primary, 'SELECT * FROM guest_claims') == []


def test_more_than_the_brake_allows_are_left(nobody, virt):
    for number in range(11):
        virt.leave_files(many_uuid(number))
    report = run(nobody)
    assert (report.acted, report.refused) == (0, 11)
    assert run(nobody, accept=11).acted == 11


def test_those_of_a_live_instance_stay(pair, nobody, virt):
    """It was created meanwhile, or on another host."""
    pair.sql(pair.primary, 'UPDATE instances SET uuid = ?', many_uuid(7))
    for host in (fixtures.HOST, 'h2'):
        put(pair, 'primary', host=host)
        report = run(nobody)
        assert (report.acted, report.lost_races) == (0, 1)
    assert virt.list_instance_files().keys() == {many_uuid(7)}


def test_those_of_a_forgotten_instance_stay(pair, nobody, virt):
    """The database has gone back, and this host knows it."""
    put(pair, 'primary', uuid=many_uuid(7), power_state=4,
        vm_state='stopped')
    claim = nobody.claims.claim(context.new(), many_uuid(7), 'x', {})
    nobody.claims.settle(context.new(), claim, vm_state='stopped')
    pair.sql(pair.primary, 'DELETE FROM instances')
    assert run(nobody).lost_races == 1
    assert virt.list_instance_files().keys() == {many_uuid(7)}


@pytest.mark.parametrize('when', ['list', 'claim'])
def test_a_change_of_the_host_wins(pair, nobody, virt, monkeypatch, when):
    real = getattr(absence, {'list': 'listing', 'claim': 'claim'}[when])

    def change(*args):
        found = real(*args) if when == 'list' else None
        put(pair, 'primary', power_state=4)
        return found or real(*args)
    monkeypatch.setattr(absence, real.__name__, change)
    report = run(nobody)
    assert (report.acted, report.lost_races) == (0, 1)
    assert virt.list_instance_files().keys() == {many_uuid(7)}


# -- the service ends in between

def test_a_claim_that_a_crash_has_left_is_released(pair, left, virt):
    left.claims.claim(context.new(), UUID, pending_deletes.TASK, {
        'deleted': True})
    for entry in left.claims.journal.entries():
        left.claims.journal.forget(entry.claim_id)
    fixtures.successor(left)
    [[claim_id, owner]] = pair.sql(
        pair.primary, 'SELECT claim_id, claim_owner FROM instances')
    put(pair, 'replica', claim_id=claim_id, claim_owner=owner)
    assert run(left).candidates == 0
    put(pair, 'replica', claim_id=None, claim_owner=None)
    assert run(left).acted == 1
    assert row(pair)[0] == 1


def test_a_deleted_instance_is_gone_while_its_files_are_removed(
        pair, left, virt):
    """Its row is missing in the list of live ones, and nothing is lost."""
    looked = []

    def look():
        looked.append(left._sync_power_states(context.new()))
        rows = instance_obj.InstanceList.get_whole_by_host(
            context.new(), fixtures.HOST, use_slave=False)
        left.claims.settled.review_all(rows, clock.monotonic())
    left.driver = Intruder(virt, 'delete_instance_files', before=look)
    assert run(left).acted == 1
    assert looked and left.claims.settled.held() == {}
