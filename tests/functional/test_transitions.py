"""The times of an instance: each is written with the fact it belongs to."""

import json

import pytest

from computed import concurrency
from computed import context
from computed import states
from computed.claims import recovery
from computed.objects import held as held_obj
from computed.objects import instance as instance_obj
from computed.operations import build
from computed.operations import operation
from tests.functional import test_freeze
from tests.functional import test_held_claims
from tests.functional import test_retired
from tests.support import fixtures

UUID = fixtures.UUID
ACTIVE = {'vm_state': 'active', 'task_state': None}
OLD = '2026-01-01 00:00:00.000000'
TIMES = ('task_state_since', 'build_started_at', 'terminated_at')
manage = test_freeze.manage
held = test_held_claims.held
silence = test_held_claims.silence
gone = test_retired.gone
returned = test_retired.returned


def times(pair):
    """The columns, and the clock of the database."""
    [found] = pair.sql(
        pair.primary, f"SELECT {', '.join(TIMES)} FROM instances "
        'WHERE uuid = ?', UUID)
    return dict(zip(TIMES, found, strict=True))


def now(pair):
    [[found]] = pair.sql(
        pair.primary, "SELECT strftime('%Y-%m-%d %H:%M:%S.000000', 'now')")
    return found


def age(pair):
    """Let what is recorded be long ago."""
    for name in TIMES:
        pair.sql(pair.primary, f'UPDATE instances SET {name} = ? '
                 f'WHERE {name} IS NOT NULL', OLD)


def since(pair):
    return times(pair)['task_state_since']


def test_a_grant_and_its_end_write_when_the_transition_began(pair, manager):
    before = now(pair)
    got = manager.claims.claim(context.new(), UUID, 'stop', ACTIVE,
                               task_state='powering-off')
    assert before <= since(pair) <= now(pair)
    manager.claims.settle(context.new(), got, task_state=None)
    assert times(pair) == dict.fromkeys(TIMES)


def test_a_claim_without_a_transition_has_no_time(pair, manager):
    got = manager.claims.claim(context.new(), UUID, 'sync', ACTIVE)
    assert since(pair) is None
    manager.claims.settle(context.new(), got, power_state=4)
    assert since(pair) is None


def test_the_next_transition_has_a_time_of_its_own(pair, manager):
    got = manager.claims.claim(context.new(), UUID, 'reboot', ACTIVE,
                               task_state='rebooting')
    manager.claims.settle(context.new(), got, task_state='rebooting')
    age(pair)
    manager.claims.claim(
        context.new(), UUID, 'reboot', {'task_state': 'rebooting'},
        task_state='rebooting_hard')
    assert since(pair) > OLD


def test_a_claim_can_rest_on_the_time(pair, manager):
    got = manager.claims.claim(context.new(), UUID, 'reboot', ACTIVE,
                               task_state='rebooting')
    manager.claims.settle(context.new(), got, task_state='rebooting')
    row = instance_obj.Instance.get_by_uuid(
        context.new(), UUID, use_slave=False)
    facts = {'task_state': 'rebooting',
             'task_state_since': row.task_state_since}
    manager.claims.release(context.new(), manager.claims.claim(
        context.new(), UUID, 'reboot', facts, task_state='rebooting'))


@pytest.mark.parametrize('end', ['release', 'adopt', 'operator'])
def test_who_else_ends_a_claim(pair, manager, held, silence, end):
    age(pair)
    if end == 'release':
        manager.claims.release(context.new(), held)
    elif end == 'operator':
        silence(test_held_claims.DOWN_AFTER + 1)
        held_obj.HeldClaimList.release(context.new(), held.claim_id, 'ann')
    else:
        row = instance_obj.Instance.get_by_uuid(
            context.new(), UUID, use_slave=False)
        recovery.adopt(manager.claims, context.new(), row, 'recover')
        # It goes on, for as long as before.
        assert since(pair) == OLD
        return
    assert since(pair) is None


def test_one_who_chooses_the_time_is_refused(pair, manager):
    row = instance_obj.Instance.get_by_uuid(
        context.new(), UUID, use_slave=False)
    row.task_state_since = row.created_at
    with pytest.raises(Exception, match='it cannot be chosen'):
        row.save()
    row.refresh()
    row.task_state = 'rebooting'
    row.save()
    assert since(pair) > OLD


def perform(manager, wanted):
    operation.begin(manager, context.new(), wanted, UUID)
    manager.workers.shutdown(wait=True)
    manager.workers = concurrency.executor('operation', 1)


def test_a_build_writes_when_it_was_claimed(pair, manager, virt):
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'building'")
    before = now(pair)
    perform(manager, build.BUILD)
    assert before <= times(pair)['build_started_at'] <= now(pair)
    assert since(pair) is None


def test_a_delete_writes_when_the_guest_was_destroyed(
        pair, manager, virt, tmp_path):
    virt.add_foreign(UUID, manager.claims.owner)
    before = now(pair)
    perform(manager, build.DELETE)
    assert before <= times(pair)['terminated_at'] <= now(pair)
    status, said = manage(pair, 'instance', 'show', UUID, '--strict',
                          '-f', 'json')
    shown = json.loads(said)
    assert status == 0 and shown['terminated_at'] == shown['deleted_at']
    assert {'task_state_since', 'build_started_at'} <= shown.keys()


def test_a_guest_that_is_left_is_destroyed_later(pair, returned, virt):
    assert times(pair)['terminated_at'] is None
    test_retired.record(returned)
    assert times(pair)['terminated_at'] is not None
    assert test_retired.row(pair, 'vm_state')[0] == states.DELETED
