"""Claims over RPC: granted once, journaled, settled, found again."""

import functools
import uuid
from concurrent import futures

import pytest

from computed import clock
from computed import context
from computed import exception
from computed import files
from computed import states
from computed.claims import claims
from computed.claims import journal
from computed.claims import recovery
from computed.conductor import client as conductor_client
from computed.objects import grant
from computed.objects import instance as instance_obj
from computed.operations import operation
from computed.operations import power
from computed.operations import recover
from tests.support import fixtures

UUID = fixtures.UUID
FACTS = {'vm_state': 'active', 'task_state': None}


@pytest.fixture
def granted(manager):
    return manager.claims


def claim(granted, expected=None, **values):
    return granted.claim(context.new(), UUID, 'test', expected or FACTS,
                         **values)


def row(pair, columns='vm_state, task_state, claim_id'):
    [found] = pair.sql(pair.primary, f'SELECT {columns} FROM instances')
    return found


def journaled(tmp_path):
    return journal.Journal(tmp_path / 'claims').entries()


@pytest.mark.both_transports
def test_a_claim_returns_the_fresh_row_and_sets_the_task_state(
        granted, pair):
    pair.sql(pair.primary, "UPDATE instances SET name = 'fresh'")
    got = claim(granted, task_state='powering-off')
    assert got.instance.name == 'fresh'
    assert row(pair) == ('active', 'powering-off', got.claim_id)


@pytest.mark.both_transports
@pytest.mark.parametrize('facts', [
    {'vm_state': 'stopped'}, {'vm_state': ['stopped', 'error']},
    {'task_state': 'rebooting'}, {'power_state': 4}, {'revision': 6}],
    ids=str)
def test_a_fact_that_no_longer_holds_loses_the_claim(
        granted, pair, tmp_path, facts):
    with pytest.raises(exception.ClaimLost):
        claim(granted, facts)
    assert row(pair) == ('active', None, None)
    assert journaled(tmp_path) == []


def test_a_lost_claim_leaves_the_revision_as_it_was(granted, pair):
    before = pair.sql(pair.primary, 'SELECT revision FROM hosts')
    with pytest.raises(exception.ClaimLost):
        claim(granted, {'vm_state': 'stopped'})
    assert pair.sql(pair.primary, 'SELECT revision FROM hosts') == before


@pytest.mark.both_transports
def test_of_two_who_claim_one_gets_it(granted):
    claim(granted)
    with pytest.raises(exception.ClaimLost):
        claim(granted)


@pytest.mark.both_transports
def test_a_claim_in_a_tolerant_context_is_asked_of_the_primary(
        granted, pair):
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'stopped'")
    with pytest.raises(exception.ClaimLost):
        granted.claim(context.RequestContext(lag_tolerant=True), UUID,
                      'test', FACTS)


@pytest.mark.both_transports
def test_a_claim_of_another_database_is_refused(granted, host_side, tmp_path):
    other = claims.Claims(
        'another', fixtures.HOST, fixtures.SILENT, fixtures.SILENT,
        journal.Journal(tmp_path / 'other'))
    with pytest.raises(exception.WrongDatabase):
        claim(other)


@pytest.mark.both_transports
def test_a_claim_whose_request_was_given_up_meanwhile_is_released(
        granted, pair, tmp_path):
    """As on a machine that stood still after it took the request."""
    late = context.new()
    late.wanted_until = clock.monotonic()
    with pytest.raises(exception.RequestExpired):
        granted.claim(late, UUID, 'stop', FACTS, task_state='powering-off')
    assert row(pair) == ('active', None, None)
    assert journaled(tmp_path) == []


@pytest.mark.both_transports
def test_settling_writes_the_outcome_and_frees_the_instance(
        granted, pair, tmp_path):
    got = claim(granted, task_state='powering-off')
    granted.settle(context.new(), got, task_state=None, vm_state='stopped',
                   launched_at=states.NOW)
    assert row(pair) == ('stopped', None, None)
    [launched_at] = row(pair, 'launched_at')
    assert launched_at.startswith('20')
    assert journaled(tmp_path) == []
    with pytest.raises(exception.ClaimNotLive):
        granted.settle(context.new(), got)


@pytest.mark.both_transports
def test_a_conductor_of_another_database_does_nothing_for_a_host(
        granted, host_side, pair, tmp_path, monkeypatch):
    got, before = claim(granted), row(pair)
    monkeypatch.setattr(host_side.conductor, 'database_id', 'another')
    with pytest.raises(exception.WrongDatabase):
        instance_obj.Instance.get_by_uuid(context.new(), UUID)
    with pytest.raises(exception.WrongDatabase):
        host_side.conductor.sync_instance_info(
            context.new(), fixtures.HOST, 1, 0, 'a' * 64)
    # The end of the claim waits for the right one.
    assert granted.settle(context.new(), got, vm_state='stopped') is None
    assert row(pair) == before
    monkeypatch.undo()
    recovery.replay(granted, context.new())
    assert row(pair) == ('stopped', None, None)


def test_a_try_at_another_database_gives_up_no_claim(
        granted, host_side, pair, monkeypatch):
    """The first try was granted, and its answer was lost."""
    conductor = host_side.conductor
    real = conductor.object_class_action_versions

    def call(*args):
        real(*args)
        monkeypatch.setattr(conductor, 'database_id', 'another')
        raise exception.OutcomeUnknown(method='x', timeout=1)
    monkeypatch.setattr(conductor, 'object_class_action_versions', call)
    with pytest.raises(exception.WrongDatabase):
        claim(granted, task_state='powering-off')
    assert row(pair)[1] == 'powering-off'
    monkeypatch.undo()
    recovery.replay(granted, context.new())
    assert row(pair) == ('active', None, None)


@pytest.mark.both_transports
def test_a_claim_whose_reply_was_lost_is_granted_once(
        granted, lossy, pair):
    lossy(1)
    before = row(pair, 'revision')
    got = claim(granted, task_state='powering-off')
    assert row(pair) == ('active', 'powering-off', got.claim_id)
    assert row(pair, 'revision') == (before[0] + 1,)


@pytest.mark.both_transports
def test_a_claim_nobody_answered_for_is_given_back(
        granted, lossy, pair, tmp_path):
    found = lossy(claims.TRIES)
    with pytest.raises(exception.OutcomeUnknown):
        # One of these columns cannot be NULL again.
        claim(granted, task_state='powering-off', cleaned=False)
    assert row(pair)[1] == 'powering-off'
    assert len(journaled(tmp_path)) == 1
    found.lost = 0
    recovery.replay(granted, context.new())
    assert row(pair) == ('active', None, None)
    assert journaled(tmp_path) == []


@pytest.mark.both_transports
@pytest.mark.parametrize('before', [True, False])
def test_a_settlement_that_was_lost_is_told_again(
        granted, lossy, pair, tmp_path, before):
    got = claim(granted)
    found = lossy(1, before)
    assert granted.settle(context.new(), got, vm_state='stopped') is None
    assert journaled(tmp_path)[0].rows[0].values == {
        'vm_state': 'stopped'}
    recovery.replay(granted, context.new())
    assert row(pair) == ('stopped', None, None)
    assert journaled(tmp_path) == []
    assert found.lost == 0


def recovered(manager):
    found = instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST, use_slave=False)
    recover.recover(manager, context.new(), list(found), lambda: None)


@pytest.mark.parametrize('task_state, guest, outcome, power_state', [
    (states.POWERING_OFF, 1, 'stopped', 4),
    (states.POWERING_ON, 4, 'active', 1),
    (states.REBOOTING, 4, 'active', 1),
    (states.REBOOTING_HARD, 1, 'active', 1),
    (states.PAUSING, 1, 'paused', 3),
    (states.UNPAUSING, 3, 'active', 1),
    (states.SPAWNING, 1, 'active', 1),
    (None, 1, 'active', 1),
])
def test_a_successor_finishes_what_was_begun(
        manager, virt, pair, task_state, guest, outcome, power_state,
        tmp_path):
    claim(manager.claims, task_state=task_state)
    virt.set_power_state(UUID, guest)
    fixtures.successor(manager)
    recovered(manager)
    assert row(pair) == (outcome, None, None)
    assert virt.get_instance(UUID).power_state == power_state
    assert journaled(tmp_path) == []


@pytest.mark.parametrize('left', [states.SHUTDOWN, states.CRASHED,
                                  states.NOSTATE, 'nothing', 'unknown'])
@pytest.mark.parametrize('claimed', [True, False])
def test_a_successor_removes_what_is_left_of_a_build(
        manager, virt, pair, monkeypatch, left, claimed):
    monkeypatch.setattr(recover, 'PAUSE', 0)
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'building'")
    if claimed:
        claim(manager.claims, {'vm_state': 'building'},
              task_state=states.SPAWNING)
    if left == 'nothing':
        virt.vanish(UUID)
    elif left == 'unknown':
        for _ in range(recover.LOOKS):
            virt.fail_next('get_instance',
                           exception.DriverError(reason='torn'))
    else:
        virt.set_power_state(UUID, left)
    fixtures.successor(manager)
    recovered(manager)
    assert row(pair) == ('error', None, None)
    assert 'while it was being built' in row(pair, 'fault')[0]
    with pytest.raises(exception.GuestNotFound):
        virt.get_instance(UUID)


def test_a_successor_takes_a_guest_over_whose_build_no_claim_holds(
        manager, virt, pair):
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'building'")
    recovered(manager)
    assert row(pair) == ('active', None, None)
    assert virt.get_instance(UUID).power_state == states.RUNNING


def test_a_successor_finishes_a_delete(manager, virt, pair):
    claim(manager.claims, task_state=states.DELETING)
    fixtures.successor(manager)
    recovered(manager)
    assert row(pair, 'vm_state, deleted') == ('deleted', 1)
    with pytest.raises(exception.GuestNotFound):
        virt.get_instance(UUID)


def test_one_entry_that_cannot_be_told_holds_up_no_other(
        granted, pair, tmp_path):
    got = claim(granted)
    entries = journal.Journal(tmp_path / 'claims')
    entries.write(journal.Entry(str(uuid.UUID(int=0)), 'x', (
        journal.Row('instance', 'u', 'no such host', {}),)))
    entries.write(journal.Entry(got.claim_id, 'x', (journal.Row(
        'instance', UUID, fixtures.HOST, {'vm_state': 'stopped'}),)))
    recovery.replay(granted, context.new())
    assert row(pair) == ('stopped', None, None)


def test_an_adoption_whose_reply_was_lost_is_repeated(
        manager, virt, pair, lossy):
    claim(manager.claims, task_state=states.POWERING_OFF)
    fixtures.successor(manager)
    [found] = instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST)
    lossy(1)
    got = recovery.adopt(manager.claims, context.new(), found, 'stop')
    assert row(pair)[2] == got.claim_id


def test_a_claim_that_the_database_lost_during_the_start_leaves_no_entry(
        manager, pair, tmp_path):
    claim(manager.claims, task_state=states.POWERING_OFF)
    fixtures.successor(manager)
    found = manager_rows(manager)
    pair.sql(pair.primary, 'UPDATE instances SET task_state = NULL, '
             'claim_id = NULL, claim_owner = NULL')
    recover.recover(manager, context.new(), found, lambda: None)
    assert row(pair) == ('active', None, None)
    assert journaled(tmp_path) == []


def test_a_settlement_in_the_journal_is_not_done_again(
        manager, virt, pair, lossy):
    got = claim(manager.claims, task_state='powering-off')
    found = lossy(1, before=True)
    manager.claims.settle(context.new(), got, task_state=None,
                          vm_state='stopped', power_state=4)
    found.lost = 0
    fixtures.successor(manager)
    recovered(manager)
    assert row(pair) == ('stopped', None, None)
    assert 'power_off' not in virt.calls


def test_an_act_is_not_repeated_because_its_end_is_told_slowly(
        manager, virt, pair, lossy):
    got = claim(manager.claims, task_state='powering-off')
    found = lossy(1, before=True)
    manager.claims.settle(context.new(), got, task_state=None,
                          vm_state='stopped', power_state=4)
    fixtures.successor(manager)
    instances = list(instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST))
    found.lost = 1
    with pytest.raises(claims.UNANSWERED):
        recover.recover(manager, context.new(), instances, lambda: None)
    recovered(manager)
    assert row(pair) == ('stopped', None, None)
    assert 'power_off' not in virt.calls


def test_nor_because_the_database_refuses_its_end_for_a_while(
        manager, virt, pair, monkeypatch):
    got = claim(manager.claims, task_state='powering-off')

    def refuse(*args, **kwargs):
        raise exception.DatabaseFailed(address='db', problem='it is full')
    with monkeypatch.context() as patch:
        patch.setattr(grant.Grant, 'settle_claim', refuse)
        assert manager.claims.settle(
            context.new(), got, task_state=None, vm_state='stopped',
            power_state=4) is None
        fixtures.successor(manager)
        recovered(manager)
    assert row(pair) == ('active', 'powering-off', got.claim_id)
    assert 'power_off' not in virt.calls
    recovery.replay(manager.claims, context.new())
    assert row(pair) == ('stopped', None, None)


def refuse_changes(pair, refused=True):
    """Let the database refuse all changes of instances, for no known reason.
    """
    pair.sql(pair.primary, (
        'CREATE TRIGGER refuse BEFORE UPDATE ON instances BEGIN '
        "SELECT RAISE(ABORT, 'nobody has foreseen this'); END") if refused
        else 'DROP TRIGGER IF EXISTS refuse')


@pytest.fixture
def refusing(pair):
    """Tells whether the database refuses all changes of instances."""
    yield functools.partial(refuse_changes, pair)
    refuse_changes(pair, False)


def test_what_the_database_refuses_is_left_to_the_next_pass(
        manager, pair, refusing):
    granted_late(manager)
    refusing(True)
    [listed] = manager_rows(manager)
    recovery.release_orphaned(manager.claims, context.new(), [listed])
    refusing(False)
    recovery.replay(manager.claims, context.new())
    recovery.release_orphaned(manager.claims, context.new(), [listed])
    assert row(pair)[2] is None


@pytest.mark.parametrize('error', [
    exception.DatabaseFailed(address='db', problem='it is full'),
    exception.Replaced(operation='release')], ids=lambda error: type(
        error).__name__)
def test_claims_of_a_former_service_wait_for_a_pass_that_may_end_them(
        manager, monkeypatch, error):
    def refuse(*args, **kwargs):
        raise error
    manager.former_left = True
    with monkeypatch.context() as patch:
        patch.setattr(grant.Grant, 'get_former_guest_claims', refuse)
        recover.release_left(manager, context.new(), [], {})
    assert manager.former_left
    recover.release_left(manager, context.new(), [], {})
    assert not manager.former_left


def test_who_tells_nobody_does_not_tell_it_often(granted, lossy, tmp_path):
    entries = journal.Journal(tmp_path / 'claims')
    for _ in range(3):
        entries.write(journal.Entry(str(uuid.uuid4()), 'x', (
            journal.Row('instance', UUID, fixtures.HOST, {}),)))
    found = lossy(3, before=True)
    with pytest.raises(claims.UNANSWERED):
        recovery.replay(granted, context.new())
    assert found.lost == 2
    assert len(journaled(tmp_path)) == 3


@pytest.fixture
def former_claim(manager, pair):
    """A stop that the former service of this host had begun; its id."""
    got = claim(manager.claims, task_state='powering-off')
    manager.claims.ended(got.claim_id)
    pair.sql(pair.primary, 'UPDATE instances SET claim_owner = ?',
             fixtures.OWNER)
    return got.claim_id


def test_a_claim_of_a_former_service_is_released_where_its_guest_is(
        manager, virt, pair, former_claim):
    recovered(manager)
    assert row(pair) == ('active', None, None)
    assert 'power_off' not in virt.calls
    assert claim(manager.claims)


@pytest.mark.parametrize('vm_state, task_state, power_state, after', [
    ('building', states.SPAWNING, states.RUNNING, 'active'),
    ('error', states.SPAWNING, states.RUNNING, 'error'),
    ('stopped', states.POWERING_ON, states.RUNNING, 'active'),
    ('stopped', states.POWERING_ON, states.SHUTDOWN, 'stopped'),
    ('stopped', states.REBOOTING_HARD, states.RUNNING, 'active'),
    ('error', states.POWERING_OFF, states.SHUTDOWN, 'stopped'),
    ('active', states.PAUSING, states.POWER_PAUSED, 'paused'),
    ('paused', states.UNPAUSING, states.RUNNING, 'active'),
    ('paused', states.REBOOTING_HARD, states.POWER_PAUSED, 'paused')])
def test_what_a_former_service_has_done_is_recorded_and_not_undone(
        manager, virt, pair, former_claim, vm_state, task_state, power_state,
        after):
    pair.sql(pair.primary, 'UPDATE instances SET vm_state = ?, '
             'task_state = ?', vm_state, task_state)
    virt.set_power_state(UUID, power_state)
    recovered(manager)
    assert row(pair) == (after, None, None)
    manager._sync_power_states(context.new())
    assert row(pair, 'vm_state, power_state') == (after, power_state)
    assert virt.get_instance(UUID).power_state == power_state


@pytest.mark.parametrize('vm_state, power_state, former, held', [
    ('stopped', states.RUNNING, None, True),
    ('stopped', states.RUNNING, states.ATTACHING, True),
    ('stopped', states.SHUTDOWN, None, False),
    ('stopped', states.SHUTDOWN, states.ATTACHING, False),
    ('soft-delete', states.RUNNING, None, True),
    ('active', states.RUNNING, None, False),
    ('active', states.RUNNING, states.ATTACHING, False),
    ('error', states.RUNNING, states.SPAWNING, True)])
def test_what_runs_and_nobody_remembers_is_not_ended(
        manager, virt, pair, request, vm_state, power_state, former, held):
    """The state path is lost, and perhaps the database went back, too.

    A claim of the former service says nothing of it.
    """
    if former:
        request.getfixturevalue('former_claim')
    pair.sql(pair.primary, 'UPDATE instances SET vm_state = ?, '
             'task_state = ?, launched_at = NULL', vm_state, former)
    virt.set_power_state(UUID, power_state)
    recovered(manager)
    manager._sync_power_states(context.new())
    assert row(pair, 'vm_state') == (vm_state,)
    assert virt.get_instance(UUID).power_state == power_state
    assert (UUID in manager.claims.settled.held()) == held
    if held:
        with pytest.raises(exception.InstanceUnknown, match='or lost'):
            claim(manager.claims, {'vm_state': vm_state})
        manager.reconcile(context.new(), UUID, keep_guest=True)
        assert row(pair, 'vm_state') == ('active',)


def test_a_claim_of_a_former_service_is_left_where_its_guest_is_not(
        manager, virt, pair, former_claim):
    virt.vanish(UUID)
    recovered(manager)
    assert row(pair) == ('active', 'powering-off', former_claim)


def test_a_claim_of_a_service_that_has_another_host_is_left(
        manager, pair, former_claim):
    pair.sql(pair.primary, "INSERT INTO hosts VALUES ('h2', 1, '2026-01-01 "
             "00:00:00.000000')")
    try:
        fixtures.add_service(pair.primary, 'h2')
        pair.add_instance(
            pair.primary, uuid=str(uuid.uuid4()), name='there', host='h2',
            claim_id=former_claim, claim_owner=fixtures.OWNER)
        recovered(manager)
        assert pair.sql(pair.primary, 'SELECT claim_owner FROM instances'
                        ) == [(fixtures.OWNER,)] * 2
    finally:
        pair.sql(pair.primary, "DELETE FROM hosts WHERE name = 'h2'")


def test_so_is_a_former_claim_on_a_guest_without_an_instance(
        manager, virt, pair):
    here, gone = str(uuid.uuid4()), str(uuid.uuid4())
    virt.add_foreign(here, manager.claims.owner)
    for guest in (here, gone):
        pair.sql(pair.primary, 'INSERT INTO guest_claims VALUES '
                 "(?, ?, ?, ?, '2026-01-01 00:00:00.000000')",
                 guest, fixtures.HOST, str(uuid.uuid4()), fixtures.OWNER)
    recovered(manager)
    assert pair.sql(pair.primary, 'SELECT uuid FROM guest_claims') == [
        (gone,)]


def test_an_instance_that_was_never_built_is_marked(manager, virt, pair):
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'building'")
    virt.vanish(UUID)
    recovered(manager)
    assert row(pair, 'vm_state, task_state, claim_id') == (
        'error', None, None)
    assert 'while it was being built' in row(pair, 'fault')[0]


def test_an_instance_that_was_never_built_is_not_passed_over(
        manager, virt, lossy, pair, monkeypatch):
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'building'")
    virt.vanish(UUID)
    # It is for the request for the claim that there is no answer.
    for name in ('release_guests', 'release_former'):
        monkeypatch.setattr(recovery, name, lambda *_: [])
    [instance] = instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST)
    found = lossy(claims.TRIES, before=True)
    with pytest.raises(claims.UNANSWERED):
        recover.recover(manager, context.new(), [instance], lambda: None)
    assert found.lost == 0
    recovered(manager)
    assert row(pair, 'vm_state') == ('error',)


def test_an_operation_that_cannot_begin_gives_its_claim_back(
        manager, pair, tmp_path):
    manager.workers.shutdown()
    with pytest.raises(RuntimeError):
        manager.stop_instance(context.new(), UUID)
    assert row(pair) == ('active', None, None)
    assert journaled(tmp_path) == []


class Mute(Exception):
    """One that cannot say what it is."""

    def __str__(self):
        raise ValueError('no')


class Timeout(BaseException):
    """As eventlet's, which is no Exception."""


@pytest.mark.parametrize('error', [
    Mute(), Timeout('t'), SystemExit(3), exception.DriverError(
        reason=f'a\0b\udc80c{"x" * 100_000}')], ids=type)
def test_whatever_a_driver_raises_its_instance_does_not_stay_claimed(
        manager, virt, pair, tmp_path, error):
    virt.fail_next('power_off', error)
    got = claim(manager.claims, task_state='powering-off')
    operation.perform(manager, context.new(), power.STOP, got)
    assert row(pair) == ('active', None, None)
    assert journaled(tmp_path) == []
    [fault] = row(pair, 'fault')
    assert fault.startswith('stop: ')
    assert '\0' not in fault and len(fault) < 5000


def test_a_guest_that_cannot_be_understood_keeps_no_claim(
        manager, virt, pair, monkeypatch):
    monkeypatch.setattr(virt, 'get_instance', lambda uuid: None)
    got = claim(manager.claims, task_state='powering-off')
    operation.perform(manager, context.new(), power.STOP, got)
    assert row(pair) == ('stopped', None, None)


class Exhausted(futures.ThreadPoolExecutor):
    """One that finds no thread to start; what it was given it keeps."""

    exhausted = True

    def _adjust_thread_count(self):
        if self.exhausted:
            raise RuntimeError("can't start new thread")
        super()._adjust_thread_count()

    def go_on(self):
        """Have a thread do what was given till now."""
        self.exhausted = False
        super().submit(int).result(60)


def test_an_operation_without_a_thread_is_not_done_later(
        manager, virt, pair, tmp_path):
    manager.workers = Exhausted(1)
    with pytest.raises(RuntimeError):
        manager.stop_instance(context.new(), UUID)
    lock = manager.locks.acquire(UUID, timeout=0)
    manager.workers.go_on()
    assert manager.locks.acquire(UUID, timeout=0) is None
    lock.release()
    assert 'power_off' not in virt.calls
    assert row(pair) == ('active', None, None)
    assert journaled(tmp_path) == []


def test_an_operation_that_another_thread_got_hold_of_is_not_taken_back(
        manager, virt, pair, tmp_path):
    class Late(Exhausted):
        def submit(self, *job):
            try:
                super().submit(*job)
            finally:
                self.go_on()
    manager.workers = Late(1)
    manager.stop_instance(context.new(), UUID)
    assert virt.calls.count('power_off') == 1
    assert row(pair) == ('stopped', None, None)
    assert journaled(tmp_path) == []


def granted_late(manager, claim_id=UUID):
    grant.Grant.grant_claim(
        context.new(), manager.claims.owner.database_id, claim_id,
        manager.claims.claim_owner, 'stop',
        [{'kind': 'instance', 'key': UUID, 'host': fixtures.HOST,
          'values': {}, 'expected': FACTS}])


def test_a_grant_that_came_late_is_found_by_who_is_in_its_way(
        manager, pair):
    granted_late(manager)
    with pytest.raises(exception.InstanceBusy):
        operation.claimed(manager, context.new(), power.STOP, UUID)
    assert row(pair) == ('active', None, None)


def test_a_claim_by_the_name_of_a_file_removes_no_file(
        manager, pair, tmp_path):
    for name in ('service.json', 'x.json'):
        (tmp_path / name).write_text('{}')
    for claim_id in ('../service', './../x'):
        with pytest.raises(exception.BadRequest, match='not a uuid'):
            granted_late(manager, claim_id)
        # Nor if it is there all the same.
        pair.sql(pair.primary,
                 'UPDATE instances SET claim_id = ?, claim_owner = ?',
                 claim_id, manager.claims.claim_owner)
        fixtures.successor(manager)
        recovered(manager)
        assert row(pair) == ('active', None, None)
    assert (tmp_path / 'service.json').exists()
    assert (tmp_path / 'x.json').exists()


def test_a_claim_whose_entry_is_damaged_is_neither_finished_nor_released(
        manager, virt, pair, tmp_path):
    got = claim(manager.claims, task_state='powering-off')
    entry = tmp_path / 'claims' / f'{got.claim_id}.json'
    entry.write_text(entry.read_text()[:40])
    for _ in range(2):
        fixtures.successor(manager)
        recovered(manager)
        recovery.release_orphaned(
            manager.claims, context.new(), manager_rows(manager))
        assert row(pair) == ('active', 'powering-off', got.claim_id)
    assert 'power_off' not in virt.calls
    entry.rename(tmp_path / 'aside')
    recovery.release_orphaned(
        manager.claims, context.new(), manager_rows(manager))
    assert row(pair)[2] is None


def manager_rows(manager):
    """The instances of the host, read on the primary."""
    return instance_obj.InstanceList.get_by_host(
        context.new(), manager.host, use_slave=False)


def test_a_claim_that_comes_twice_does_not_come_to_its_former_end(
        manager, virt, pair, lossy):
    """A conductor that stood still goes on with what it had begun.

    The action log, which would refuse it, is not kept for ever.
    """
    slow = lossy(1, before=True)
    got = claim(manager.claims, task_state='powering-off')
    slow.lost = 1
    manager.claims.settle(context.new(), got, task_state=None,
                          vm_state='stopped', power_state=4)
    recovery.replay(manager.claims, context.new())
    assert row(pair) == ('stopped', None, None)
    operation.perform(manager, context.new(), power.START, claim(
        manager.claims, {'vm_state': 'stopped'}))
    pair.sql(pair.primary, 'DELETE FROM events')
    slow.wake()
    assert len(slow.late) == 2
    assert row(pair)[0] == 'active', 'and the guest would be stopped next'
    [instance] = instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST)
    recovery.release_orphaned(manager.claims, context.new(), [instance])
    assert row(pair) == ('active', None, None)


def test_a_list_older_than_a_settle_tells_nothing_of_a_claim(
        manager, pair, caplog):
    got = claim(manager.claims)
    old = instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST)
    manager.claims.settle(context.new(), got, vm_state='stopped')
    caplog.clear()
    with caplog.at_level('INFO'):
        recovery.release_orphaned(manager.claims, context.new(), old)
    assert [record.getMessage() for record in caplog.records
            if record.name.startswith('computed')] == []
    assert row(pair) == ('stopped', None, None)


def test_a_settle_that_others_are_in_the_way_of_is_told_later(
        manager, pair, tmp_path, monkeypatch):
    got = claim(manager.claims)
    tell = grant.Grant.settle_claim

    def contended(*args, **kwargs):
        raise exception.WriteConflict()
    monkeypatch.setattr(grant.Grant, 'settle_claim', contended)
    assert manager.claims.settle(
        context.new(), got, vm_state='stopped') is None
    [entry] = journaled(tmp_path)
    assert entry.ended
    monkeypatch.setattr(grant.Grant, 'settle_claim', tell)
    recovery.replay(manager.claims, context.new())
    assert row(pair) == ('stopped', None, None)
    assert journaled(tmp_path) == []


def test_a_claim_in_hand_is_not_reaped_by_who_is_in_its_way(manager, pair):
    got = claim(manager.claims)
    with pytest.raises(exception.InstanceBusy):
        operation.claimed(manager, context.new(), power.STOP, UUID)
    assert row(pair) == ('active', None, got.claim_id)


def test_a_late_grant_is_left_to_the_next_pass_while_the_disk_is_full(
        manager, pair, disk):
    granted_late(manager)
    [found] = instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST)
    disk.full = True
    recovery.release_orphaned(manager.claims, context.new(), [found])
    assert row(pair)[2] is not None
    disk.full = False
    recovery.release_orphaned(manager.claims, context.new(), [found])
    assert row(pair) == ('active', None, None)


def test_a_full_disk_lets_nothing_be_claimed(manager, pair, monkeypatch):
    def full(path, value, **how):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr('computed.files.write_json', full)
    with pytest.raises(exception.NotJournaled, match='No space left'):
        claim(manager.claims)
    assert row(pair) == ('active', None, None)


@pytest.fixture
def disk(monkeypatch):
    """A disk that is full as soon as ``disk.full`` is set."""
    class Disk:
        full = False
        write = staticmethod(files.write_json)

        def write_json(self, path, value, **how):
            if self.full:
                raise OSError(28, 'No space left on device')
            self.write(path, value, **how)
    found = Disk()
    monkeypatch.setattr(files, 'write_json', found.write_json)
    return found


def test_an_end_that_nobody_heard_is_told_though_the_disk_is_full(
        granted, lossy, disk, pair, tmp_path):
    got = claim(granted)
    disk.full = True
    lossy(1, before=True)
    assert granted.settle(context.new(), got, vm_state='stopped') is None
    assert row(pair) == ('active', None, got.claim_id)
    recovery.replay(granted, context.new())
    assert row(pair) == ('stopped', None, None)
    assert journaled(tmp_path) == []


def test_a_claim_given_up_is_given_back_though_the_disk_is_full(
        granted, lossy, disk, pair, tmp_path, monkeypatch):
    found = lossy(claims.TRIES)
    begin = granted.begin

    def begun(*args):
        entry = begin(*args)
        disk.full = True
        return entry
    monkeypatch.setattr(granted, 'begin', begun)
    with pytest.raises(exception.OutcomeUnknown):
        claim(granted, task_state='powering-off')
    assert row(pair)[1] == 'powering-off'
    found.lost = 0
    recovery.replay(granted, context.new())
    assert row(pair) == ('active', None, None)
    assert journaled(tmp_path) == []


def test_a_reply_from_a_newer_conductor_is_understood():
    ctxt = context.new()
    origin = conductor_client.adopt_reply(ctxt, {
        'origin': {'role': 'replica', 'node': 'n', 'reason': 'r', 'age': 1.0,
                   'revision': 5, 'shard': 'x'},
        'tokens': {'x': {'incarnation': 'd', 'revisions': {'h1': 4},
                         'shard': 5}}},
        began=clock.monotonic() - 0.5)
    assert origin.age >= 1.5
    assert ctxt.tokens.of('x').revisions == {'h1': 4}


def test_nobody_but_the_holder_changes_a_claimed_instance(granted, pair):
    got = claim(granted, task_state='powering-off')
    read = instance_obj.Instance.get_by_uuid(context.new(), UUID)
    read.name = 'renamed'
    with pytest.raises(exception.InstanceBusy, match='powering-off'):
        read.save()
    assert row(pair, 'name') == ('web',)
    granted.release(context.new(), got)
    free = instance_obj.Instance.get_by_uuid(context.new(), UUID)
    free.name = 'renamed'
    free.save()
    assert row(pair, 'name') == ('renamed',)
