"""Guests of deleted instances that a host destroys when it comes back."""

import pytest

from computed import context
from computed import exception
from computed import states
from computed.claims import recovery
from computed.objects import instance as instance_obj
from tests.functional import test_claims_of_several as several
from tests.functional import test_freeze
from tests.functional import test_held_claims
from tests.functional import test_regress
from tests.functional import test_retired
from tests.support import fixtures

HOST, UUID = fixtures.HOST, fixtures.UUID
held = test_held_claims.held
silence = test_held_claims.silence
gone = test_retired.gone
returned = test_retired.returned
row, guests, record = (
    test_retired.row, test_retired.guests, test_retired.record)

ENDS = {
    'stop': {'vm_state': states.STOPPED, 'power_state': states.SHUTDOWN},
    'delete': {'vm_state': states.DELETED, 'power_state': states.NOSTATE,
               'deleted': True, 'deleted_at': states.NOW}}


# -- an operation has ended before, and the primary does not know it

@pytest.fixture(params=ENDS)
def untold(request, pair, manager, held, silence, lossy, virt, tmp_path):
    """The host has done its work, and then loses the primary for long."""
    if request.param == 'stop':
        virt.power_off(held, timeout_s=0)
    else:
        virt.destroy(held)
    lossy(1, before=True)
    assert manager.claims.settle(context.new(), held, task_state=None,
                                 **ENDS[request.param]) is None
    [entry] = several.journaled(tmp_path)
    assert entry.ended
    silence(test_retired.DOWN_AFTER + 1)
    test_retired.delete_host()
    test_retired.delete_instance()
    fixtures.register(HOST, manager.claims.claim_owner.partition(':')[2])
    recovery.replay(manager.claims, context.new())
    assert several.journaled(tmp_path) == []
    assert list(manager.claims.settled.held()) == [UUID]
    return manager


def test_an_end_that_comes_too_late_keeps_no_guest(pair, untold, virt):
    record(untold)
    assert row(pair) == (1, 0, None, None, None)
    assert row(pair, 'vm_state, power_state') == ('deleted', states.NOSTATE)
    assert guests(virt) == set()
    assert untold.claims.settled.held() == {}


def test_it_stays_held_in_another_history(pair, untold, virt, host_side):
    """The database may have gone back, so the operator decides."""
    before = guests(virt)
    test_regress.new_incarnation(untold, pair, host_side.conductor)
    record(untold)
    assert row(pair, 'deleted, guest_left') == (1, 1)
    assert guests(virt) == before
    assert list(untold.claims.settled.held()) == [UUID]


def test_it_stays_held_while_something_else_works_on_it(pair, untold):
    with untold.locks.held(UUID) as free:
        assert free
        record(untold)
    assert list(untold.claims.settled.held()) == [UUID]
    record(untold)
    assert row(pair, 'deleted, guest_left') == (1, 0)


# -- many guests

def leave(pair, manager, virt, count):
    """Let the host have left so many more guests; return their uuids."""
    found = [f'{number:08x}-0000-4000-8000-000000000000'
             for number in range(count)]
    for one in found:
        instance_obj.Instance(context.new(), **{
            **fixtures.INSTANCE, 'uuid': one, 'name': one[:8]}).create()
        virt.add_foreign(one, manager.claims.owner)
    pair.sql(pair.primary, "UPDATE instances SET deleted = 1, guest_left = 1, "
             "vm_state = 'deleted', deleted_at = '2026-01-01 00:00:00.000000'")
    return found


def test_a_pass_begins_no_more_than_there_are_workers(
        pair, returned, virt):
    workers = returned.conf.operation_workers
    leave(pair, returned, virt, 2 * workers)
    for left in (workers + 1, 1, 0):
        record(returned)
        assert len(guests(virt)) == left
    assert 'guests' not in (
        returned.update_available_resource(context.new()).note or '')


def test_guests_that_cannot_be_destroyed_hide_no_others(
        pair, returned, virt, monkeypatch):
    stuck = leave(pair, returned, virt, 100)
    passes = -(-101 // returned.conf.operation_workers)
    destroy = virt.destroy

    def fail(claim):
        if claim.uuid in stuck:
            raise exception.DriverError(reason='no')
        destroy(claim)
    with monkeypatch.context() as patch:
        patch.setattr(virt, 'destroy', fail)
        for _ in range(passes):
            record(returned)
        assert guests(virt) == set(stuck)
    # It comes back to them.
    for _ in range(passes):
        record(returned)
    assert guests(virt) == set()


def test_a_page_of_them_fits_into_one_answer(pair, returned, virt):
    expected = [*leave(pair, returned, virt, 99), UUID]
    pair.sql(pair.primary, 'UPDATE instances SET command = ?', '"' * 65535)
    first = instance_obj.InstanceList.get_left(
        context.new(), HOST, use_slave=False)
    assert 0 < len(first) < 100
    rest = instance_obj.InstanceList.get_left(
        context.new(), HOST, marker=first.next_marker, use_slave=False)
    assert [one.uuid for one in (*first, *rest)] == expected


# -- trouble with them

def test_the_host_is_recorded_whatever_is_with_them(
        pair, returned, virt, lossy):
    conductor = lossy(0)
    ask = conductor.object_class_action_versions

    def deaf(*args):
        if 'get_left' in args:
            raise exception.PrimaryUnavailable(reason='x')
        return ask(*args)
    conductor.object_class_action_versions = deaf
    note = record(returned).note
    assert note.startswith('guests of deleted instances are left: ')
    assert pair.sql(pair.primary, 'SELECT host FROM compute_nodes') == [
        (HOST,)]
    assert guests(virt) == {UUID}
    lossy(0)
    record(returned)
    assert guests(virt) == set()


def test_a_freeze_is_no_trouble(returned, caplog):
    test_freeze.freeze()
    assert 'frozen' in record(returned).note
    assert 'are left to the next pass' not in caplog.text
