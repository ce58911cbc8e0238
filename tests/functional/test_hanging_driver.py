"""A driver call that hangs holds neither a pass nor an operation."""

import dataclasses
import threading

import oslo_messaging as messaging
import pytest

from computed import context
from computed import exception
from computed import metrics
from computed import states
from computed.claims import recovery
from computed.objects import instance as instance_obj
from computed.operations import power
from computed.operations import recover
from computed.service import host
from computed.tasks.power_states import task as power_states
from computed.virt import calls
from tests.support import fixtures
from tests.support import hanging
from tests.support import waiting

UUID = fixtures.UUID
OTHER = '22222222-2222-4333-8444-555555555555'


@pytest.fixture
def manager(fresh, virt, pair):
    """Two active instances whose guests have ended."""
    found = fresh.manager(virt)
    for path in (pair.primary, pair.replica):
        pair.add_instance(path, uuid=OTHER, name='second')
    for uuid in (UUID, OTHER):
        virt.add_foreign(uuid, found.claims.owner, states.CRASHED)
    return found


@pytest.fixture
def hang(manager, monkeypatch):
    """Have a method of the driver hang, until the end of the test.

    A deadline has passed when a call has begun to hang, and not before: the
    machine may be slow.
    """
    made = []

    def wait(call, name, timeout):
        assert timeout >= manager.conf.virt.driver_call_timeout
        waiting.wait_for(lambda: call.done() or any(
            driver.hangs(name) for driver in made), 60, name)
    monkeypatch.setattr(calls, 'wait', wait)

    def begin(method, uuid=None):
        manager.driver = hanging.HangingDriver(manager.driver, method, uuid)
        made.append(manager.driver)
        return manager.driver
    yield begin
    for driver in made:
        driver.let_go()
    waiting.wait_for(lambda: hanging_calls() == 0, 20, 'no call hanging')


def hanging_calls():
    return metrics.driver_calls_hanging.current()._value.get()


def row(pair, uuid):
    [found] = pair.sql(
        pair.primary, 'SELECT vm_state, task_state, claim_id FROM instances '
        'WHERE uuid = ?', uuid)
    return found


def lines(caplog):
    return sum('does not answer' in record.getMessage()
               for record in caplog.records)


def test_one_guest_that_hangs_keeps_no_other(manager, pair, hang, caplog):
    driver = hang('get_instance', UUID)
    report = manager._sync_power_states(context.new())
    assert (report.candidates, report.acted, report.refused) == (2, 1, 1)
    assert row(pair, UUID) == ('active', None, None)
    assert row(pair, OTHER) == ('stopped', None, None)
    assert (driver.hung, lines(caplog), hanging_calls()) == (1, 1, 1)


def test_it_is_skipped_while_its_call_hangs_and_found_when_it_ends(
        manager, pair, hang, caplog):
    driver = hang('get_instance', UUID)
    for _ in range(3):
        assert manager._sync_power_states(context.new()).refused == 1
    assert (driver.hung, lines(caplog)) == (1, 1)
    driver.let_go()
    waiting.wait_for(lambda: hanging_calls() == 0, 20, 'the call ended')
    assert manager._sync_power_states(context.new()).acted == 1
    assert row(pair, UUID) == ('stopped', None, None)


def test_a_list_that_hangs_ends_the_pass_and_is_not_asked_again(
        manager, pair, hang, caplog):
    driver = hang('list_instances')
    for _ in range(3):
        with pytest.raises(exception.DriverHangs, match='list_instances'):
            manager._sync_power_states(context.new())
    assert (driver.hung, lines(caplog)) == (1, 1)
    driver.let_go()
    waiting.wait_for(lambda: hanging_calls() == 0, 20, 'the call ended')
    assert manager._sync_power_states(context.new()).acted == 2


def test_a_repair_that_hangs_stays_claimed_until_it_has_ended(
        manager, virt, pair, hang, monkeypatch):
    monkeypatch.setattr('computed.operations.operation.LOCK_WAIT', 0.1)
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'stopped', "
             'power_state = 4, revision = 8')
    pair.sql(pair.replica, "UPDATE instances SET vm_state = 'stopped', "
             'power_state = 4, revision = 8')
    for uuid in (UUID, OTHER):
        virt.set_power_state(uuid, states.RUNNING)
    driver = hang('power_off', UUID)
    report = manager._sync_power_states(context.new())
    assert (report.acted, report.failed, report.refused) == (1, 0, 1)
    claim_id = row(pair, UUID)[2]
    assert claim_id
    # No pass, no event and no replay ends the claim: it may still happen.
    for _ in range(2):
        manager._sync_power_states(context.new())
        power_states.check_instance(manager, context.new(), UUID)
        recovery.replay(manager.claims, context.new())
    assert (driver.hung, row(pair, UUID)[2]) == (1, claim_id)
    with pytest.raises(messaging.ExpectedException) as refused:
        manager.start_instance(context.new(), UUID)
    assert isinstance(refused.value.exc_info[1], exception.InstanceBusy)
    driver.let_go()
    waiting.wait_for(lambda: row(pair, UUID)[2] is None, 20, 'the end')
    assert row(pair, UUID) == ('stopped', None, None)
    assert virt.get_instance(UUID).power_state == states.SHUTDOWN
    waiting.wait_for(lambda: manager.locks.acquire(UUID, timeout=0), 20,
                     'the lock')


def test_a_settlement_that_takes_long_is_no_driver_that_hangs(
        manager, pair, monkeypatch, caplog):
    """Its deadline is the driver's; the primary has limits of its own."""
    monkeypatch.setattr(manager.calls, '_timeout', lambda: 0.2)
    settle, slow = manager.claims.settle, threading.Event()

    def settle_late(*args, **kwargs):
        slow.wait(0.5)
        return settle(*args, **kwargs)
    monkeypatch.setattr(manager.claims, 'settle', settle_late)
    assert manager._sync_power_states(context.new()).acted == 2
    assert lines(caplog) == 0


def test_an_operation_that_cannot_be_started_holds_nothing(
        manager, pair, monkeypatch):
    def fail(manager):
        raise ValueError
    monkeypatch.setitem(power_states.POLICY.operations, 'stop',
                        dataclasses.replace(power.STOP, takes=fail))
    assert manager._sync_power_states(context.new()).refused == 2
    assert row(pair, UUID)[2] is None
    assert manager.locks.acquire(UUID, timeout=0)


def test_operations_that_hang_hold_no_thread_of_others(
        manager, virt, pair, hang):
    for uuid in (UUID, OTHER):
        virt.set_power_state(uuid, states.RUNNING)
    manager.workers._max_workers = 1
    driver = hang('power_off', UUID)
    manager.stop_instance(context.new(), UUID)
    manager.stop_instance(context.new(), OTHER)
    waiting.wait_for(lambda: row(pair, OTHER)[0] == 'stopped', 20,
                     'the other one stopped')
    assert row(pair, UUID)[:2] == ('active', states.POWERING_OFF)
    driver.let_go()
    waiting.wait_for(lambda: row(pair, UUID) == ('stopped', None, None), 20,
                     'the end')


def recovered(manager):
    recover.recover(
        manager, context.new(), instance_obj.InstanceList.get_by_host(
            context.new(), fixtures.HOST, use_slave=False), lambda: None)


def test_a_start_goes_on_without_the_list_of_guests(
        manager, virt, pair, hang, caplog):
    """The claims of a former service wait for the list."""
    pair.sql(pair.primary, "UPDATE instances SET claim_id = 'c', "
             "claim_owner = 'x:x' WHERE uuid = ?", UUID)
    virt.set_power_state(UUID, states.RUNNING)
    virt.set_power_state(OTHER, states.RUNNING)
    driver = hang('list_instances')
    for _ in range(2):
        recovered(manager)
    assert row(pair, UUID)[2] == 'c'
    said = [record.getMessage() for record in caplog.records]
    assert len([one for one in said if 'former service' in one]) == 1
    driver.let_go()
    waiting.wait_for(lambda: hanging_calls() == 0, 20, 'the call ended')
    manager._sync_power_states(context.new())
    assert row(pair, UUID) == ('active', None, None)
    assert not manager.former_left


@pytest.mark.parametrize('unknown', ['incomplete', 'unreadable', 'unlisted'])
def test_nor_are_these_claims_released_before_the_guest_is_known(
        manager, virt, pair, unknown):
    for path in (pair.primary, pair.replica):
        pair.sql(path, "UPDATE instances SET claim_id = 'c', "
                 "claim_owner = 'x:x' WHERE uuid = ?", UUID)
    if unknown == 'incomplete':
        virt.complete = False
    elif unknown == 'unreadable':
        virt.set_power_state(UUID, states.NOSTATE)
    else:
        virt.vanish(UUID)
    recovered(manager)
    manager._sync_power_states(context.new())
    assert row(pair, UUID)[2] == 'c'
    virt.complete = True
    virt.add_foreign(UUID, manager.claims.owner, states.RUNNING)
    manager._sync_power_states(context.new())
    assert row(pair, UUID)[2] is None


def test_a_guest_that_cannot_be_looked_at_is_not_taken_for_unbuilt(
        manager, virt, pair, monkeypatch):
    monkeypatch.setattr(recover, 'PAUSE', 0)
    virt.set_power_state(UUID, states.RUNNING)
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'building' "
             'WHERE uuid = ?', UUID)
    virt.fail_next('get_instance', exception.DriverError(reason='broken'))
    recovered(manager)
    assert row(pair, UUID) == ('active', None, None)
    assert virt.get_instance(UUID).power_state == states.RUNNING


def test_a_start_goes_on_without_a_guest_whose_build_it_ends(
        manager, virt, pair, hang, caplog):
    virt.set_power_state(OTHER, states.RUNNING)
    pair.sql(pair.primary, "UPDATE instances SET vm_state = 'building' "
             'WHERE uuid = ?', UUID)
    driver = hang('get_instance', UUID)
    recovered(manager)
    assert row(pair, UUID)[:2] == ('building', states.SPAWNING)
    assert lines(caplog) == 1
    driver.let_go()
    waiting.wait_for(lambda: row(pair, UUID) == ('error', None, None), 20,
                     'the end of the build')


def test_the_deadline_is_the_option(manager):
    manager.conf.set_override('driver_call_timeout', 0.05, 'virt')
    driver = hanging.HangingDriver(manager.driver, 'list_instances')
    manager.driver = driver
    with pytest.raises(exception.DriverHangs, match=r'0\.05 s'):
        manager.calls.list_instances()
    driver.let_go()
    waiting.wait_for(lambda: hanging_calls() == 0, 20, 'the call ended')


def test_an_operation_that_stops_a_guest_may_take_longer(manager):
    manager.conf.set_override('shutdown_timeout', 7, 'virt')
    assert [op.takes(manager) for op in (
        power.STOP, power.REBOOT, power.START)] == [7, 7, 0]


def test_a_user_gets_a_typed_error_about_a_guest_that_hangs(manager, hang):
    hang('console_log', UUID)
    for _ in range(2):
        with pytest.raises(exception.DriverHangs, match='console_log'):
            manager.calls.console_log(UUID, 10)
    # Neither is the guest asked anything else.
    with pytest.raises(exception.DriverHangs):
        manager.calls.get_instance(UUID)
    assert manager.get_guest(context.new(), OTHER)


def test_without_a_thread_a_call_is_made_all_the_same(
        manager, pair, monkeypatch):
    def none(*_):
        raise RuntimeError("can't start new thread")
    monkeypatch.setattr('computed.concurrency.thread', none)
    assert manager.calls.list_instances().complete


def test_events_have_threads_of_their_own(manager, virt, pair):
    """All threads of operations are busy; an event is dealt with."""
    for uuid in (UUID, OTHER):
        virt.set_power_state(uuid, states.RUNNING)
    manager.conf.set_override('stopped_event_delay', 0, 'virt')
    service = host.HostService.__new__(host.HostService)
    service.conf, service.manager, service.driver = (
        manager.conf, manager, virt)
    busy, go = threading.Semaphore(0), threading.Event()
    for _ in range(manager.conf.operation_workers):
        manager.workers.submit(lambda: busy.release() or go.wait())
    try:
        for _ in range(manager.conf.operation_workers):
            assert busy.acquire(timeout=60)
        service._subscribe()
        virt.set_power_state(UUID, states.CRASHED)
        waiting.wait_for(lambda: row(pair, UUID)[0] == 'stopped', 20,
                         'the event')
    finally:
        go.set()
        virt.subscribe(None)
        service._lifecycle_events.stop()
