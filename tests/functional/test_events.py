"""The action log: what was done to an instance and on a host, by whom."""

import json
import types

import pytest

from computed import context
from computed import exception
from computed.claims import absence
from computed.claims import claims
from computed.claims import kinds
from computed.claims import recovery
from computed.conductor import purger
from computed.objects import event as event_obj
from computed.objects import instance as instance_obj
from tests.functional import test_freeze
from tests.support import fixtures
from tests.support import routed

UUID = fixtures.UUID
ACTIVE = {'vm_state': 'active', 'task_state': None}
manage = test_freeze.manage
clock = routed.clock
settings = routed.settings
router = routed.router


def user():
    return context.new(asked_by='ann@console')


def of(name=UUID):
    return event_obj.EventList.get_by_instance(
        context.new(), name, use_slave=False)


def facts(events):
    return [(event.operation, event.state_before, event.state_after,
             event.result, event.fault) for event in events]


def test_an_act_is_logged_with_who_asked_and_what_became_of_it(manager):
    ctxt = user()
    got = manager.claims.claim(ctxt, UUID, 'stop', ACTIVE)
    [event] = of()
    assert facts([event]) == [('stop', 'active', None, None, None)]
    assert (event.asked_by, event.request_id, event.claim_id, event.host,
            event.name) == ('ann@console', ctxt.request_id, got.claim_id,
                            fixtures.HOST, 'web')
    assert event.ended_at is None
    manager.claims.settle(ctxt, got, vm_state='stopped', fault=None)
    [event] = of()
    assert facts([event]) == [('stop', 'active', 'stopped', 'done', None)]
    assert event.ended_at >= event.began_at


def test_a_request_that_is_repeated_after_the_end_is_not_granted(
        manager, lossy):
    late = lossy(1, before=True)
    got = manager.claims.claim(user(), UUID, 'stop', ACTIVE)
    manager.claims.settle(user(), got, vm_state='active')
    [before] = of()
    with pytest.raises(exception.ClaimLost):
        late.wake()
    [after] = of()
    assert facts([after]) == facts([before])
    [row] = instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST)
    assert row.claim_id is None


@pytest.mark.parametrize('values, end', [
    ({'vm_state': 'error', 'fault': 'stop: no answer'},
     ('error', 'failed', 'stop: no answer')),
    (None, ('active', 'released', None))])
def test_an_act_that_fails_or_is_not_done(manager, values, end):
    got = manager.claims.claim(user(), UUID, 'stop', ACTIVE)
    if values is None:
        manager.claims.release(user(), got)
    else:
        manager.claims.settle(user(), got, **values)
    assert facts(of()) == [('stop', 'active', *end)]


def test_what_is_refused_is_not_logged(manager):
    with pytest.raises(exception.ClaimLost):
        manager.claims.claim(user(), UUID, 'stop', {'vm_state': 'paused'})
    assert list(of()) == []


@pytest.mark.both_transports
def test_a_settlement_that_is_told_twice_is_logged_once(manager, lossy):
    got = manager.claims.claim(user(), UUID, 'stop', ACTIVE)
    lossy(1, False)
    manager.claims.settle(user(), got, vm_state='stopped')
    recovery.replay(manager.claims, context.new())
    assert facts(of()) == [('stop', 'active', 'stopped', 'done', None)]


def test_a_claim_that_is_taken_over_ends(manager):
    manager.claims.claim(user(), UUID, 'stop', ACTIVE)
    fixtures.successor(manager)
    [row] = instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST)
    recovery.let_go(manager.claims, context.new(), row)
    assert [(event.operation, event.asked_by, event.result)
            for event in of()] == [('adopt', 'service', 'released'),
                                   ('stop', 'ann@console', 'taken over')]


def test_a_task_says_where_it_looked_wrong(manager, pair, virt):
    virt.set_power_state(UUID, 4)
    ctxt = context.new(asked_by='task _sync_power_states')
    manager._sync_power_states(ctxt)
    [event] = of()
    assert facts([event]) == [
        ('_sync_power_states', 'active', 'stopped', 'done', None)]
    assert event.asked_by == 'task _sync_power_states'
    assert event.reason.startswith('active and RUNNING on primary ')


def test_a_task_that_finds_nothing_wrong_says_what_it_found(
        manager, virt, monkeypatch):
    """Between its look and the claim, the guest is started again."""
    virt.set_power_state(UUID, 4)
    real = manager.claims.claimed

    def claimed(*args):
        virt.set_power_state(UUID, 1)
        return real(*args)
    monkeypatch.setattr(manager.claims, 'claimed', claimed)
    assert manager._sync_power_states(context.new()).lost_races == 1
    [event] = of()
    assert facts([event]) == [
        ('_sync_power_states', 'active', 'active', 'released', None)]
    looked, found = event.reason.split('; ')
    assert looked.startswith('active and RUNNING on primary ')
    assert found == 'the primary says active and RUNNING, its guest is RUNNING'


@pytest.mark.parametrize('ends, result', [
    (claims.Claims.settle, 'done'), (claims.Claims.release, 'released')])
def test_a_claim_on_a_guest_without_an_instance_is_logged(
        manager, ends, result):
    ctxt = context.new(asked_by='ann@console')
    claim = absence.claim(manager.claims, ctxt, absence.listing(
        manager.claims, ctxt), fixtures.SERVICE, 'remove')
    [event] = of(fixtures.SERVICE)
    assert facts([event]) == [('remove', None, None, None, None)]
    assert event.host == fixtures.HOST and event.asked_by == 'ann@console'
    ends(manager.claims, ctxt, claim)
    assert facts(of(fixtures.SERVICE)) == [
        ('remove', None, None, result, None)]


@pytest.mark.parametrize('column, value', [
    ('name', 'x' * 300), ('name', b'web'), ('name', 7),
    ('vm_state', 'y' * 300)], ids=str)
def test_a_damaged_row_is_logged_as_far_as_it_can_be(
        manager, pair, column, value):
    """The log is no reason to refuse what ends a claim on it."""
    pair.sql(pair.primary, f'UPDATE instances SET {column} = ?', value)
    got = manager.claims.claim_all(user(), 'stop', [kinds.Wanted(
        kinds.INSTANCE, UUID, {})])
    [event] = of()
    assert event.operation == 'stop' and event.claim_id == got.claim_id
    manager.claims.settle(user(), got, fault='stop: no')
    assert [event.result for event in of()] == ['failed']


def test_who_asks_may_say_anything(manager):
    ctxt = context.new(asked_by='a\n' + 'x' * 1000)
    manager.claims.claim(ctxt, UUID, 'stop', ACTIVE)
    [event] = of()
    assert event.asked_by.isprintable() and len(event.asked_by) <= 255
    assert context.RequestContext.from_dict(
        {'asked_by': ['x']}).asked_by is None


def test_a_reason_that_fits_no_column_is_refused(manager):
    with pytest.raises(exception.InvalidValue):
        manager.claims.claim_all(user(), 'stop', [kinds.Wanted(
            kinds.INSTANCE, UUID, ACTIVE, reason='x' * 70_000)])
    assert list(of()) == []


def listed(pair, *command):
    status, said = manage(pair, *command, '--strict', '-f', 'json')
    assert status == 0, said
    return [types.SimpleNamespace(**row) for row in json.loads(said)]


def test_the_log_of_an_instance_outlives_it(pair, manager):
    """It is found by name and by uuid, newest first, page by page."""
    for number in range(3):
        got = manager.claims.claim(user(), UUID, f'test {number}', ACTIVE)
        manager.claims.release(user(), got)
    pair.sql(pair.primary, "UPDATE instances SET deleted = 1, "
             "vm_state = 'deleted', deleted_at = updated_at")
    for name in ('web', UUID, UUID.upper()):
        assert [event.operation for event in listed(
            pair, 'instance', 'events', name)] == [
                'test 2', 'test 1', 'test 0']
    status, said = manage(pair, 'instance', 'events', 'web', '--limit', '2')
    assert status == 0 and 'test 1' in said and 'test 0' not in said
    marker = said.split('--marker ')[1].split()[0]
    assert [event.operation for event in listed(
        pair, 'instance', 'events', 'web', '--marker', marker)] == ['test 0']
    status, said = manage(pair, 'instance', 'events', 'wbe')
    assert status == 1 and 'wbe' in said
    status, said = manage(pair, 'instance', 'events', 'web', '--marker', 'x')
    assert status == 1 and 'Marker' in said


def test_what_is_done_to_hosts(pair, manager):
    assert manage(pair, 'freeze', '--host', fixtures.HOST, '--reason',
                  'disks')[0] == 0
    assert manage(pair, 'freeze', '--all', '--reason', 'net')[0] == 0
    assert manage(pair, 'thaw', '--host', fixtures.HOST)[0] == 0
    event_obj.EventList.note_brake(context.new(), fixtures.HOST, 'task', 'x')
    events = listed(pair, 'host', 'events', fixtures.HOST)
    assert [(event.operation, event.reason) for event in events[:3]] == [
        ('brake', 'task: x'), ('thaw', None), ('freeze', 'disks')]
    assert '@' in events[1].asked_by
    assert [event.reason for event in listed(
        pair, 'host', 'events', '--all')] == ['net']
    status, said = manage(pair, 'host', 'events', 'nobody')
    assert status == 1 and 'nobody' in said


@pytest.mark.parametrize('since, found', [
    ('1h', 1), ('2000-01-01', 1), ('2000-01-01T00:00:00+02:00', 1),
    ('2999-01-01', 0)])
def test_what_began_since(pair, manager, since, found):
    manager.claims.claim(user(), UUID, 'stop', ACTIVE)
    assert len(listed(pair, 'instance', 'events', UUID, '--since',
                      since)) == found


@pytest.mark.parametrize('since', [
    'yesterday', '1w', '-1h', '', '9999999999h'])
def test_a_time_that_is_none(pair, manager, since):
    status, said = manage(pair, 'instance', 'events', UUID,
                          f'--since={since}')
    assert status == 2 and 'neither a time' in said


def test_what_ended_long_ago_is_deleted(router, pair):
    """In small transactions; what goes on is kept, however old it is."""
    for day, ended in enumerate(['2001-01-01', None, '2001-01-02', 'now']):
        pair.sql(
            pair.primary, 'INSERT INTO events (began_at, ended_at, operation,'
            ' asked_by) VALUES (?, CASE ? WHEN ? THEN CURRENT_TIMESTAMP '
            "|| '.000000' ELSE ? END, ?, 'x')",
            '2001-01-01 00:00:00.000000', ended, 'now',
            ended and f'{ended} 00:00:00.000000', f'act {day}')
    conf = fixtures.make_conf('/nowhere')
    conf.set_override('event_retention', 0, 'conductor')
    purger.Purger(conf).purge()
    assert len(pair.sql(pair.primary, 'SELECT id FROM events')) == 4
    conf.set_override('event_retention', 90, 'conductor')
    purger.Purger(conf).purge()
    assert pair.sql(pair.primary, 'SELECT operation FROM events') == [
        ('act 1',), ('act 3',)]
