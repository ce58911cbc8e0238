"""Claims on several instances, and on guests that have none, over RPC."""


import pytest

from computed import context
from computed import exception
from computed import states
from computed.claims import absence
from computed.claims import claims
from computed.claims import journal
from computed.claims import kinds
from computed.claims import recovery
from computed.objects import instance as instance_obj
from computed.operations import operation
from computed.operations import power
from computed.operations import recover
from tests.support import fixtures

FIRST = fixtures.UUID
SECOND = '22222222-2222-4333-8444-555555555555'
GUEST = '33333333-2222-4333-8444-555555555555'
ACTIVE = {'vm_state': 'active', 'task_state': None}


@pytest.fixture
def manager(host_side, virt, pair):
    """Two instances, and a guest without one."""
    pair.add_instance(pair.primary, uuid=SECOND, name='second')
    found = host_side.manager(virt)
    for guest in (FIRST, SECOND, GUEST):
        virt.add_foreign(guest, found.claims.owner)
    return found


@pytest.fixture
def granted(manager):
    return manager.claims


def both(granted, second=None, **values):
    """A claim on both instances."""
    return granted.claim_all(context.new(), 'test', [
        kinds.Wanted('instance', FIRST, ACTIVE, values),
        kinds.Wanted('instance', SECOND, second or ACTIVE, values)])


def rows(pair, columns='vm_state, task_state, claim_id'):
    return pair.sql(pair.primary,
                    f'SELECT {columns} FROM instances ORDER BY uuid')


def revision(pair):
    [[found]] = pair.sql(pair.primary, 'SELECT revision FROM hosts '
                         'WHERE name = ?', fixtures.HOST)
    return found


def guests_claimed(pair):
    return pair.sql(pair.primary, 'SELECT uuid, claim_id FROM guest_claims')


def journaled(tmp_path):
    return journal.Journal(tmp_path / 'claims').entries()


def successor(manager):
    fixtures.successor(manager)
    return manager.claims


def listed():
    return list(instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST, use_slave=False))


def recovered(manager):
    recover.recover(manager, context.new(), listed(), lambda: None)


# -- several instances

@pytest.mark.both_transports
def test_all_are_granted_in_one_call_with_one_revision(
        granted, pair, host_side, monkeypatch):
    calls = []
    conductor = host_side.conductor
    inner = conductor.object_class_action_versions
    monkeypatch.setattr(
        conductor, 'object_class_action_versions',
        lambda *args: calls.append(args[2]) or inner(*args))
    before = revision(pair)
    got = both(granted, task_state='powering-off')
    assert calls == ['grant_claim']
    assert [row.uuid for row in got.rows] == [FIRST, SECOND]
    assert got.uuid == FIRST
    assert rows(pair) == [('active', 'powering-off', got.claim_id)] * 2
    assert revision(pair) == before + 1
    assert rows(pair, 'revision') == [(before + 1,)] * 2


@pytest.mark.parametrize('fact', [
    {'vm_state': 'stopped'}, {'revision': 1}, {'deleted': True}], ids=str)
def test_one_fact_that_does_not_hold_loses_all(
        granted, pair, fact, tmp_path):
    before = revision(pair)
    with pytest.raises(exception.ClaimLost, match=SECOND):
        both(granted, fact, task_state='powering-off')
    assert rows(pair) == [('active', None, None)] * 2
    assert revision(pair) == before
    assert journaled(tmp_path) == []


def test_hosts_other_than_ours_are_bumped_too(granted, pair):
    pair.sql(pair.primary, 'INSERT INTO hosts VALUES '
             "('h0', 40, '2026-01-01 00:00:00.000000')")
    pair.sql(pair.primary, "UPDATE instances SET host = 'h0' "
             'WHERE uuid = ?', SECOND)
    got = granted.claim_all(context.new(), 'test', [
        kinds.Wanted('instance', FIRST, ACTIVE),
        kinds.Wanted('instance', SECOND, ACTIVE, host='h0')])
    assert rows(pair, 'revision') == [(8,), (41,)]
    granted.release(context.new(), got)
    assert rows(pair, 'revision, claim_id') == [(9, None), (42, None)]
    pair.sql(pair.primary, "DELETE FROM hosts WHERE name = 'h0'")


@pytest.mark.both_transports
def test_each_is_acted_on_and_all_are_settled_at_once(
        manager, virt, pair, tmp_path):
    got = both(manager.claims, task_state='powering-off')
    parts = [got.of(row) for row in got.rows]
    for part in parts:
        virt.power_off(part, 0)
    manager.claims.settle_all(context.new(), parts[1], {
        row.uuid: {'vm_state': 'stopped', 'task_state': None}
        for row in got.rows})
    assert rows(pair) == [('stopped', None, None)] * 2
    assert virt.get_instance(SECOND).power_state == states.SHUTDOWN
    assert journaled(tmp_path) == []
    for part in (got, *parts):
        with pytest.raises(exception.ClaimNotLive):
            virt.power_on(part)


def test_who_is_not_named_at_the_end_is_released(granted, pair):
    got = both(granted, task_state='powering-off')
    granted.settle(context.new(), got, vm_state='stopped', task_state=None)
    assert rows(pair) == [('stopped', None, None), ('active', None, None)]


def test_a_claim_is_not_for_what_it_does_not_hold(granted):
    got = both(granted)
    with pytest.raises(ValueError, match=FIRST):
        got.of(listed()[0])


def test_a_grant_whose_reply_was_lost_is_the_same(granted, pair, lossy):
    lossy(1)
    before = revision(pair)
    got = both(granted)
    assert [row.uuid for row in got.rows] == [FIRST, SECOND]
    assert revision(pair) == before + 1


def test_all_are_given_back_when_nobody_answers(
        granted, pair, lossy, tmp_path):
    lossy(claims.TRIES)
    with pytest.raises(exception.OutcomeUnknown):
        both(granted, task_state='powering-off')
    assert [state for _, state, _ in rows(pair)] == ['powering-off'] * 2
    lossy(0)
    recovery.replay(granted, context.new())
    assert rows(pair) == [('active', None, None)] * 2
    assert journaled(tmp_path) == []


def test_an_end_that_was_lost_is_told_again_for_all(
        granted, pair, lossy, tmp_path):
    got = both(granted, task_state='powering-off')
    lossy(1, before=True)
    granted.settle(context.new(), got, vm_state='stopped', task_state=None)
    assert {claim for *_, claim in rows(pair)} == {got.claim_id}
    recovery.replay(granted, context.new())
    assert rows(pair) == [('stopped', None, None), ('active', None, None)]
    assert journaled(tmp_path) == []


def test_a_successor_finishes_all(manager, virt, pair, tmp_path):
    both(manager.claims, task_state=states.POWERING_OFF)
    successor(manager)
    recovered(manager)
    assert rows(pair) == [('stopped', None, None)] * 2
    assert virt.calls.count('power_off') == 2
    assert journaled(tmp_path) == []


def test_an_adoption_whose_reply_was_lost_has_all_rows(
        manager, pair, lossy):
    both(manager.claims)
    successor(manager)
    found = listed()[1]
    lossy(1)
    got = recovery.adopt(manager.claims, context.new(), found, 'test')
    assert [row.uuid for row in got.rows] == [SECOND, FIRST]
    assert {claim for *_, claim in rows(pair)} == {got.claim_id}


def test_a_late_grant_is_released_whole(manager, pair):
    pair.sql(pair.primary, "UPDATE instances SET claim_id = 'late', "
             'claim_owner = ?', manager.claims.claim_owner)
    recovery.release_orphaned(manager.claims, context.new(), listed()[:1])
    assert rows(pair) == [('active', None, None)] * 2


@pytest.mark.both_transports
def test_times_are_facts_too(granted, pair):
    granted.settle(context.new(), granted.claim(
        context.new(), FIRST, 'x', ACTIVE), launched_at=states.NOW)
    launched = listed()[0].launched_at
    got = granted.claim(context.new(), FIRST, 'x', {'launched_at': launched})
    granted.release(context.new(), got)
    with pytest.raises(exception.ClaimLost):
        granted.claim(context.new(), FIRST, 'x', {
            'launched_at': launched.replace(year=2001)})


# -- guests that have no instance

def test_a_guest_without_an_instance_can_be_removed(
        manager, virt, pair, tmp_path):
    listing = absence.listing(manager.claims, context.new())
    got = absence.claim(
        manager.claims, context.new(), listing, GUEST, 'remove')
    assert guests_claimed(pair) == [(GUEST, got.claim_id)]
    virt.destroy(got)
    assert manager.claims.settle(context.new(), got) is None
    assert guests_claimed(pair) == journaled(tmp_path) == []
    with pytest.raises(exception.ClaimNotLive):
        virt.destroy(got)
    with pytest.raises(exception.GuestNotFound):
        virt.get_instance(GUEST)


def test_a_foreign_guest_is_refused_all_the_same(manager, virt):
    virt.add_foreign(GUEST, None)
    got = absence.claim(
        manager.claims, context.new(),
        absence.listing(manager.claims, context.new()), GUEST, 'x')
    with pytest.raises(exception.ForeignGuest):
        virt.destroy(got)


def test_one_list_serves_several_guests(granted, pair):
    listing = absence.listing(granted, context.new())
    for number in range(3):
        got = absence.claim(
            granted, context.new(), listing, f'{number}{GUEST[1:]}', 'remove')
        granted.settle(context.new(), got)
    assert revision(pair) == listing.revision == 10


def create(uuid, **values):
    instance_obj.Instance(context.new(), **{
        **fixtures.INSTANCE, 'uuid': uuid, **values}).create()


def put_elsewhere(pair):
    pair.sql(pair.primary, "UPDATE instances SET host = 'h2', uuid = ? "
             'WHERE uuid = ?', GUEST, SECOND)


@pytest.mark.parametrize('change', [
    lambda pair: create(GUEST),
    lambda pair: create(GUEST[:-1] + '6'),
    put_elsewhere,
], ids=['it has one now', 'another was made', 'it is on another host'])
def test_on_any_doubt_the_guest_is_kept(granted, pair, tmp_path, change):
    listing = absence.listing(granted, context.new())
    change(pair)
    before = revision(pair)
    with pytest.raises(exception.ClaimLost):
        absence.claim(granted, context.new(), listing, GUEST, 'remove')
    assert guests_claimed(pair) == journaled(tmp_path) == []
    assert revision(pair) == before


def test_a_guest_that_was_listed_has_an_instance(granted):
    listing = absence.listing(granted, context.new())
    with pytest.raises(exception.ClaimLost):
        absence.claim(granted, context.new(), listing, FIRST, 'remove')


def test_an_instance_of_a_replica_only_is_no_absence(granted, pair):
    """The list is read from the primary, whatever the context says."""
    pair.sql(pair.replica, 'DELETE FROM instances')
    tolerant = context.RequestContext(lag_tolerant=True)
    assert absence.listing(granted, tolerant).uuids == {FIRST, SECOND}


def test_a_release_that_comes_late_ends_no_later_claim(
        granted, pair, lossy):
    slow = lossy(1, before=True)
    with pytest.raises(exception.OutcomeUnknown):
        absence.listing(granted, context.new())
    got = absence.claim(
        granted, context.new(),
        absence.listing(granted, context.new()), GUEST, 'remove')
    slow.wake()
    assert guests_claimed(pair) != []
    with pytest.raises(exception.InstanceBusy, match='being removed'):
        create(GUEST)
    granted.release(context.new(), got)


def test_no_instance_is_made_while_its_guest_is_being_removed(
        granted, pair):
    got = absence.claim(
        granted, context.new(),
        absence.listing(granted, context.new()), GUEST, 'remove')
    with pytest.raises(exception.InstanceBusy, match='being removed'):
        create(GUEST)
    granted.settle(context.new(), got)
    create(GUEST)


def test_an_absence_whose_reply_was_lost_is_granted_once(
        granted, pair, lossy):
    listing = absence.listing(granted, context.new())
    lossy(1)
    got = absence.claim(granted, context.new(), listing, GUEST, 'remove')
    assert guests_claimed(pair) == [(GUEST, got.claim_id)]
    assert listing.revision == revision(pair)


def test_an_absence_nobody_answered_for_is_given_back(
        granted, pair, lossy, tmp_path):
    listing = absence.listing(granted, context.new())
    lossy(claims.TRIES)
    with pytest.raises(exception.OutcomeUnknown):
        absence.claim(granted, context.new(), listing, GUEST, 'remove')
    assert len(guests_claimed(pair)) == len(journaled(tmp_path)) == 1
    recovery.replay(granted, context.new())
    assert guests_claimed(pair) == journaled(tmp_path) == []


def test_a_successor_decides_anew_about_guests(
        manager, virt, pair, tmp_path):
    absence.claim(
        manager.claims, context.new(),
        absence.listing(manager.claims, context.new()), GUEST, 'x')
    successor(manager)
    recovered(manager)
    assert guests_claimed(pair) == journaled(tmp_path) == []
    assert virt.get_instance(GUEST)


def test_a_list_ends_late_claims_but_none_in_hand(manager, pair):
    listing = absence.listing(manager.claims, context.new())
    got = absence.claim(
        manager.claims, context.new(), listing, GUEST, 'remove')
    pair.sql(pair.primary, 'INSERT INTO guest_claims VALUES '
             "('late', 'h1', 'c', ?, '2026-01-01 00:00:00.000000')",
             manager.claims.claim_owner)
    absence.listing(manager.claims, context.new())
    assert guests_claimed(pair) == [(GUEST, got.claim_id)]


def test_operations_still_go_one_by_one(manager, pair, virt):
    got = operation.claimed(manager, context.new(), power.STOP, SECOND)
    operation.perform(manager, context.new(), power.STOP, got)
    assert rows(pair) == [('active', None, None), ('stopped', None, None)]
