"""_sync_power_states from end to end but for the hypervisor.

Primary and replica differ on purpose. Each way in which the list can be old
has its test: the replica lags; the row changes between the list and the act;
it changes between the guard and the write.
"""

import logging

import pytest

from computed import context
from computed import exception
from computed import metrics
from computed import states
from computed.objects import arguments
from computed.objects import grant
from computed.repair import brakes
from computed.repair import memory as task_memory
from computed.repair import state
from computed.tasks.power_states import task as power_states
from computed.virt import claim as virt_claim
from computed.virt import driver
from tests.functional import test_freeze
from tests.support import fixtures

UUID = fixtures.UUID
OTHER = '22222222-2222-4333-8444-555555555555'


@pytest.fixture
def manager(fresh, virt):
    return fresh.manager(virt)


def add_guest(manager, virt, uuid=UUID, power_state=states.RUNNING):
    virt.add_foreign(uuid, manager.claims.owner, power_state)


def put(pair, where='both', **columns):
    """Change the instance's row from outside, as a user's request would."""
    changes = ', '.join(f'{name} = ?' for name in columns)
    for path in {'both': (pair.primary, pair.replica),
                 'primary': (pair.primary,),
                 'replica': (pair.replica,)}[where]:
        pair.sql(path, f'UPDATE instances SET {changes}, '
                 'revision = revision + 1', *columns.values())
        pair.sql(path, 'UPDATE hosts SET revision = revision + 1')


def row(pair):
    [found] = pair.sql(
        pair.primary, 'SELECT vm_state, task_state, power_state, claim_id '
        'FROM instances WHERE uuid = ?', UUID)
    return found


def memory(manager):
    return manager.task_memory.of(power_states.TASK)


def power_of(virt):
    return virt.get_instance(UUID).power_state


def test_what_agrees_costs_one_tolerant_read(manager, virt, pair):
    put(pair, power_state=1)
    add_guest(manager, virt)
    ctxt = context.new()
    report = manager._sync_power_states(ctxt)
    assert (report.candidates, report.acted) == (0, 0)
    assert ctxt.reads.by_role == {'replica': 1}


def test_a_guest_that_ended_is_recorded_as_stopped(manager, virt, pair):
    put(pair, power_state=1)
    add_guest(manager, virt, power_state=states.CRASHED)
    report = manager._sync_power_states(context.new())
    assert report.acted == 1
    assert row(pair) == ('stopped', None, states.CRASHED, None)


def test_a_guest_that_runs_though_stopped_is_stopped(manager, virt, pair):
    put(pair, vm_state='stopped', power_state=4)
    add_guest(manager, virt)
    manager._sync_power_states(context.new())
    assert power_of(virt) == states.SHUTDOWN
    assert row(pair) == ('stopped', None, states.SHUTDOWN, None)


def test_it_may_be_adopted_instead(manager, virt, pair):
    manager.conf.set_override('stop_unexpectedly_running', 'adopt', 'tasks')
    put(pair, vm_state='stopped', power_state=4)
    add_guest(manager, virt)
    manager._sync_power_states(context.new())
    assert power_of(virt) == states.RUNNING
    assert row(pair) == ('active', None, states.RUNNING, None)


def test_a_power_state_alone_is_recorded_without_a_claim(
        manager, virt, pair):
    put(pair, vm_state='error', power_state=4)
    add_guest(manager, virt)
    report = manager._sync_power_states(context.new())
    assert (report.recorded, report.acted) == (1, 0)
    assert row(pair) == ('error', None, states.RUNNING, None)


def test_more_than_one_call_may_have_are_recorded_in_several(manager, pair):
    put(pair, power_state=4)
    changes = [{'uuid': uuid, 'vm_state': 'active', 'old': 4, 'new': 1}
               for uuid in [*map(many_uuid, range(arguments.POWER_CHANGES)),
                            UUID]]
    assert power_states.POLICY.record(
        manager, context.new(), changes) == 1
    assert row(pair) == ('active', None, 1, None)


# start finished on the primary / the replica still says stopped, guest runs

def test_a_started_instance_is_not_stopped_because_the_replica_lags(
        manager, virt, pair):
    put(pair, 'replica', vm_state='stopped', power_state=1)
    put(pair, 'primary', vm_state='active', power_state=1)
    add_guest(manager, virt)
    report = manager._sync_power_states(context.new())
    assert power_of(virt) == states.RUNNING
    assert (report.acted, report.lost_races) == (0, 1)
    assert row(pair) == ('active', None, states.RUNNING, None)


def test_a_start_between_list_and_act_wins(manager, virt, pair):
    put(pair, vm_state='stopped', power_state=4)
    add_guest(manager, virt, power_state=states.SHUTDOWN)
    manager.driver = Intruder(virt, 'list_instances', after=lambda: (
        virt.set_power_state(UUID, states.RUNNING),
        put(pair, 'primary', vm_state='active', power_state=1)))
    virt.set_power_state(UUID, states.RUNNING)
    manager._sync_power_states(context.new())
    assert power_of(virt) == states.RUNNING
    assert row(pair) == ('active', None, states.RUNNING, None)


def test_a_guest_that_changed_between_guard_and_act_is_left(
        manager, virt, pair):
    put(pair, vm_state='stopped', power_state=4)
    add_guest(manager, virt)
    # The fresh look finds it off: nothing is left to do.
    manager.driver = Intruder(virt, 'get_instance', before=lambda:
                              virt.set_power_state(UUID, states.SHUTDOWN))
    report = manager._sync_power_states(context.new())
    assert (report.acted, report.lost_races) == (0, 1)
    assert row(pair)[1:] == (None, 4, None)


def test_nobody_can_change_the_row_between_guard_and_write(
        manager, virt, pair):
    put(pair, vm_state='stopped', power_state=4)
    add_guest(manager, virt)
    refused = []

    def start():
        try:
            manager.claims.claim(
                context.new(), UUID, 'start',
                {'vm_state': 'stopped', 'task_state': None},
                task_state=states.POWERING_ON)
        except exception.ClaimLost as error:
            refused.append(error)

    manager.driver = Intruder(virt, 'power_off', before=start)
    report = manager._sync_power_states(context.new())
    assert len(refused) == 1
    assert report.acted == 1
    assert row(pair) == ('stopped', None, states.SHUTDOWN, None)


@pytest.mark.parametrize('change', [
    {'host': 'h2'}, {'task_state': 'deleting'}, {'deleted': 1},
    {'vm_state': 'error'}], ids=str)
def test_a_row_that_is_no_longer_a_candidate_is_left(
        manager, virt, pair, change):
    put(pair, vm_state='stopped', power_state=4)
    put(pair, 'primary', **change)
    before = row(pair)
    add_guest(manager, virt)
    manager._sync_power_states(context.new())
    assert power_of(virt) == states.RUNNING
    assert row(pair) == before


def test_an_incomplete_snapshot_means_unknown(manager, virt, pair):
    put(pair, power_state=1)
    virt.complete = False
    report = manager._sync_power_states(context.new())
    assert 'incomplete' in report.note
    assert row(pair)[2] == states.RUNNING


@pytest.mark.parametrize('error', [
    exception.DriverTimeout(timeout=1, operation='look'),
    PermissionError('denied')], ids=type)
def test_one_guest_that_cannot_be_looked_at_stops_no_other(
        manager, virt, pair, error):
    pair.add_instance(pair.primary, uuid=OTHER, name='second')
    pair.add_instance(pair.replica, uuid=OTHER, name='second')
    put(pair, power_state=1)
    add_guest(manager, virt, power_state=states.CRASHED)
    add_guest(manager, virt, OTHER, power_state=states.CRASHED)
    manager.conf.set_override('sync_power_state_pool_size', 1, 'tasks')
    virt.fail_next('get_instance', error)
    report = manager._sync_power_states(context.new())
    assert (report.acted, report.refused) == (1, 1)
    claims = pair.sql(pair.primary, 'SELECT claim_id FROM instances')
    assert claims == [(None,), (None,)]


def test_observing_changes_nothing_but_the_power_state(manager, virt, pair):
    manager.conf.set_override('sync_power_state_mode', 'observe', 'tasks')
    put(pair, vm_state='stopped', power_state=4)
    add_guest(manager, virt)
    report = manager._sync_power_states(context.new())
    assert (report.refused, report.acted) == (1, 0)
    assert report.note == 'would have repaired 1'
    assert power_of(virt) == states.RUNNING
    assert row(pair) == ('stopped', None, states.RUNNING, None)


def many_uuid(number):
    return f'00000000-0000-4000-8000-{number:012}'


def many(manager, virt, pair, count):
    """``count`` instances, all of whose guests have ended."""
    for path in (pair.primary, pair.replica):
        for number in range(count):
            pair.add_instance(path, uuid=many_uuid(number), name='m')
        pair.sql(path, 'DELETE FROM instances WHERE uuid = ?', UUID)
    for number in range(count):
        add_guest(manager, virt, many_uuid(number), states.CRASHED)


def acted(pair):
    [[count]] = pair.sql(pair.primary, 'SELECT count(*) FROM instances '
                         "WHERE vm_state = 'stopped'")
    return count


def test_too_many_candidates_are_looked_at_again_and_left(
        manager, virt, pair):
    many(manager, virt, pair, 12)
    ctxt = context.new()
    report = manager._sync_power_states(ctxt)
    assert (report.acted, report.refused) == (0, 12)
    assert ctxt.reads.by_role == {'replica': 1, 'primary': 1}
    assert acted(pair) == 0


def test_what_the_brake_holds_back_is_recorded_all_the_same(
        manager, virt, pair):
    many(manager, virt, pair, 12)
    report = manager._sync_power_states(context.new())
    assert report.recorded == 12
    assert {state for [state] in pair.sql(
        pair.primary, 'SELECT power_state FROM instances')} == {
            states.CRASHED}


def test_too_many_only_on_the_replica_are_no_reason_to_stop(
        manager, virt, pair):
    """The second look, at the primary, finds them as they should be."""
    many(manager, virt, pair, 12)
    for number in range(12):
        virt.set_power_state(many_uuid(number), states.RUNNING)
    pair.sql(pair.replica, "UPDATE instances SET vm_state = 'stopped'")
    ctxt = context.new()
    report = manager._sync_power_states(ctxt)
    assert ctxt.reads.by_role == {'replica': 1, 'primary': 1}
    assert (report.candidates, report.acted, report.refused) == (0, 0, 0)
    assert acted(pair) == 0


def test_more_than_the_limit_in_an_hour_are_left(
        manager, virt, pair, caplog):
    manager.conf.set_override('max_repairs_per_pass', 2, 'tasks')
    clock = [0.0]
    memory(manager).hourly = brakes.Hourly(
        state.State(), clock=lambda: clock[0])
    many(manager, virt, pair, 3)
    virt.set_power_state(many_uuid(2), states.RUNNING)
    assert manager._sync_power_states(context.new()).acted == 2
    virt.set_power_state(many_uuid(2), states.CRASHED)
    for _ in range(2):
        ctxt = context.new()
        report = manager._sync_power_states(ctxt)
        assert (report.acted, report.refused) == (0, 1)
        assert ctxt.reads.by_role['primary'] == 1
        assert '2 an hour' in report.note
    # Logged once, and counted in the metrics.
    assert sum('--accept' in record.getMessage()
               for record in caplog.records) == 1
    assert held() == 1
    clock[0] = brakes.HOUR
    assert manager._sync_power_states(context.new()).acted == 1
    assert held() == 0


def held():
    return metrics.brake_held.labels(power_states.TASK)._value.get()


def test_hints_are_held_by_the_same_brake(manager, virt, pair):
    put(pair, power_state=1)
    add_guest(manager, virt, power_state=states.SHUTDOWN)
    while memory(manager).hourly.take(10):
        pass
    before = revision_of(pair)
    power_states.check_instance(manager, context.new(), UUID)
    assert row(pair) == ('active', None, states.SHUTDOWN, None)
    # The record was written; a claim and its release are two writes more.
    assert revision_of(pair) == before + 1


@pytest.mark.parametrize('repair', [
    lambda manager: power_states.check_instance(
        manager, context.new(), UUID),
    lambda manager: manager._sync_power_states(context.new())])
def test_what_is_not_proven_any_more_is_held_by_it(
        manager, virt, pair, repair):
    put(pair, power_state=1)
    add_guest(manager, virt)
    virt.set_power_state(UUID, states.SHUTDOWN, exit_code=0)
    while memory(manager).hourly.take(10):
        pass
    grant_claim = manager.claims.claim_all

    def forgets(*args, **kwargs):
        virt.set_power_state(UUID, states.SHUTDOWN, exit_code=None)
        return grant_claim(*args, **kwargs)
    manager.claims.claim_all = forgets
    repair(manager)
    assert row(pair) == ('active', None, states.SHUTDOWN, None)


def revision_of(pair):
    [[found]] = pair.sql(
        pair.primary, 'SELECT revision FROM hosts WHERE name = ?',
        fixtures.HOST)
    return found


def test_repairs_put_off_are_told_once_a_minute(
        manager, virt, pair, caplog, monkeypatch):
    many(manager, virt, pair, 2)
    for number in range(2):
        virt.set_power_state(many_uuid(number), states.CRASHED, exit_code=1)

    def away(*args, **kwargs):
        raise exception.PrimaryUnreachable(address='db1', problem='refused')
    monkeypatch.setattr(grant.Grant, 'grant_claim', away)
    with caplog.at_level(logging.INFO, 'computed'):
        for _ in range(3):
            assert manager._sync_power_states(context.new()).refused == 2
    [said] = [record for record in caplog.records
              if 'are put off' in record.getMessage()]
    assert said.getMessage().startswith('2 candidates are put off: ')
    assert fixtures.complaints(caplog) == []


def test_a_database_that_refuses_is_seen_and_asked_only_a_few_times(
        manager, virt, pair, caplog):
    many(manager, virt, pair, 8)
    for number in range(8):
        virt.set_power_state(many_uuid(number), states.CRASHED, exit_code=1)
    manager.conf.set_override('sync_power_state_pool_size', 1, 'tasks')
    pair.sql(pair.primary, 'CREATE TRIGGER refuse BEFORE UPDATE ON instances '
             "BEGIN SELECT RAISE(ABORT, 'nobody has foreseen this'); END")
    try:
        for _ in range(3):
            with pytest.raises(exception.DatabaseFailed, match='foreseen'):
                manager._sync_power_states(context.new())
    finally:
        pair.sql(pair.primary, 'DROP TRIGGER refuse')
    said = [one.getMessage() for one in fixtures.complaints(caplog)]
    assert len(said) == 1, said
    assert 'could not be repaired' in said[0]


def test_a_row_that_the_database_refuses_spoils_no_other(manager, virt, pair):
    many(manager, virt, pair, 4)
    for number in range(4):
        virt.set_power_state(many_uuid(number), states.CRASHED, exit_code=1)
    pair.sql(pair.primary, 'CREATE TRIGGER refuse BEFORE UPDATE ON instances '
             f"WHEN OLD.uuid = '{many_uuid(0)}' "
             "BEGIN SELECT RAISE(ABORT, 'nobody has foreseen this'); END")
    try:
        # The power states that remain are one statement, which fails.
        with pytest.raises(exception.DatabaseFailed, match='foreseen'):
            manager._sync_power_states(context.new())
    finally:
        pair.sql(pair.primary, 'DROP TRIGGER refuse')
    assert pair.sql(pair.primary, 'SELECT vm_state, COUNT(*) FROM instances '
                    "WHERE name = 'm' GROUP BY vm_state ORDER BY vm_state"
                    ) == [('active', 1), ('stopped', 3)]


def test_a_second_look_that_is_incomplete_is_a_note(
        manager, virt, pair, caplog):
    many(manager, virt, pair, 12)
    whole, looks = virt.list_instances, []

    def listing():
        looks.append(True)
        return driver.Snapshot(False, {}) if len(looks) == 2 else whole()
    virt.list_instances = listing
    report = manager._sync_power_states(context.new())
    assert len(looks) == 2
    assert report.acted == 0
    assert report.note == ('The driver is not ready: its list is incomplete.')
    assert not [record for record in caplog.records if record.exc_info]


def test_guests_whose_end_is_proven_are_not_held_back(manager, virt, pair):
    many(manager, virt, pair, 12)
    for number in range(12):
        virt.set_power_state(many_uuid(number), states.CRASHED, exit_code=1)
    assert manager._sync_power_states(context.new()).acted == 12
    assert acted(pair) == 12


def test_an_operator_may_accept_them(manager, virt, pair):
    many(manager, virt, pair, 12)
    ctxt = context.new()
    ctxt.accept_repairs = 12
    assert manager._sync_power_states(ctxt).acted == 12
    assert acted(pair) == 12


def test_an_operator_who_accepts_fewer_gets_none(manager, virt, pair):
    many(manager, virt, pair, 12)
    ctxt = context.new()
    ctxt.accept_repairs = 11
    report = manager._sync_power_states(ctxt)
    assert (report.acted, report.refused) == (0, 12)


def test_one_pass_is_let_through_not_the_next(manager, virt, pair):
    many(manager, virt, pair, 12)
    ctxt = context.new()
    ctxt.accept_repairs = 12
    assert manager._sync_power_states(ctxt).acted == 12
    # A row that is older than what this host has written is passed over.
    for path in (pair.primary, pair.replica):
        pair.sql(path, "UPDATE instances SET vm_state = 'active', "
                 'revision = 1000')
    assert manager._sync_power_states(context.new()).refused == 12


def test_turned_off_it_looks_at_nothing(manager, virt, pair):
    manager.conf.set_override('sync_power_state_mode', 'off', 'tasks')
    virt.calls.clear()
    ctxt = context.new()
    assert manager._sync_power_states(ctxt).note == 'mode is off'
    power_states.check_instance(manager, ctxt, UUID)
    assert not ctxt.reads.by_role
    assert virt.calls == []


def test_observing_claims_nothing(manager, virt, pair, caplog):
    caplog.set_level('INFO')
    manager.conf.set_override('sync_power_state_mode', 'observe', 'tasks')
    put(pair, power_state=1)
    add_guest(manager, virt, power_state=states.CRASHED)
    manager.claims.claim_all = None
    assert manager._sync_power_states(context.new()).refused == 1
    power_states.check_instance(manager, context.new(), UUID)
    assert 'would have repaired web' in caplog.text


def test_after_a_restart_of_the_machine_they_are_expected(
        fresh, virt, pair):
    manager = fresh.manager(virt, after_reboot=True)
    many(manager, virt, pair, 12)
    assert manager._sync_power_states(context.new()).acted == 12
    assert manager.after_reboot is False


def after_reboot(fresh, virt, pair, over=lambda: None):
    """A manager after a restart that has ended an active guest."""
    found = fresh.manager(virt, after_reboot=True, on_reboot_over=over)
    found.conf.set_override('resume_guests_state_on_host_boot', True, 'virt')
    put(pair, power_state=1)
    add_guest(found, virt, power_state=states.SHUTDOWN)
    return found


def test_a_restart_of_the_machine_is_not_over_because_the_replica_lags(
        fresh, virt, pair):
    manager = after_reboot(fresh, virt, pair)
    put(pair, 'replica', vm_state='stopped', power_state=4)
    manager._sync_power_states(context.new())
    put(pair, 'replica', vm_state='active', power_state=1)
    manager._sync_power_states(context.new())
    assert row(pair) == ('active', None, states.RUNNING, None)


def test_nor_because_a_guest_cannot_be_looked_at(fresh, virt, pair):
    manager = after_reboot(fresh, virt, pair)
    virt.fail_next('get_instance', exception.DriverTimeout(
        timeout=1, operation='look'))
    manager._sync_power_states(context.new())
    manager._sync_power_states(context.new())
    assert row(pair) == ('active', None, states.RUNNING, None)


@pytest.mark.parametrize('why', ['unreadable', 'observing', 'frozen'])
def test_what_is_left_undone_keeps_no_brake_off(fresh, virt, pair, why):
    """Only what the first look could not repair is explained later."""
    over = []
    manager = after_reboot(fresh, virt, pair, lambda: over.append(1))
    manager.conf.set_override('max_repairs_per_pass', 10, 'tasks')
    if why == 'unreadable':
        virt.fail_next('get_instance', exception.DriverError(reason='x'))
        virt.fail_next('get_instance', exception.DriverError(reason='x'))
    elif why == 'frozen':
        test_freeze.freeze()
    else:
        manager.conf.set_override('sync_power_state_mode', 'observe', 'tasks')
    assert manager._sync_power_states(context.new()).acted == 0
    test_freeze.thaw()
    manager.conf.set_override('sync_power_state_mode', 'enforce', 'tasks')
    assert (manager.after_reboot, over) == (False, [1])
    # Now a broken hypervisor says that many others have ended.
    others = [many_uuid(number) for number in range(11)]
    for uuid in others:
        for path in (pair.primary, pair.replica):
            pair.add_instance(path, uuid=uuid, name='m')
        add_guest(manager, virt, uuid, states.SHUTDOWN)
    report = manager._sync_power_states(context.new())
    assert (report.acted, report.refused) == (1, 11)
    assert virt.get_instance(UUID).power_state == states.RUNNING
    assert acted(pair) == 0
    # It was resumed once. If it ends again, its user finds it stopped.
    virt.set_power_state(UUID, states.CRASHED, exit_code=1)
    manager._sync_power_states(context.new())
    assert power_of(virt) == states.CRASHED
    assert acted(pair) == 1


def test_a_guest_without_a_state_is_explained_once_it_has_one(
        fresh, virt, pair):
    manager = after_reboot(fresh, virt, pair)
    virt.set_power_state(UUID, states.NOSTATE)
    for _ in range(2):
        assert manager._sync_power_states(context.new()).acted == 0
    virt.set_power_state(UUID, states.SHUTDOWN)
    manager._sync_power_states(context.new())
    assert power_of(virt) == states.RUNNING


def test_a_restart_explains_nothing_long_after_it(
        fresh, virt, pair, monkeypatch):
    manager = after_reboot(fresh, virt, pair)
    assert manager.after_reboot
    monkeypatch.setattr(task_memory, 'DEADLINE', 0.0)
    assert not manager.after_reboot
    manager._sync_power_states(context.new())
    assert (power_of(virt), acted(pair)) == (states.SHUTDOWN, 1)


def test_a_full_disk_does_not_keep_the_brakes_off(fresh, virt, pair):
    said = []

    def over():
        said.append(manager.after_reboot)
        if len(said) == 1:
            raise OSError(28, 'No space left on device')
    manager = after_reboot(fresh, virt, pair, over)
    for _ in range(3):
        assert manager._sync_power_states(context.new()).refused == 0
    assert said == [False, False]


def test_what_cannot_be_looked_at_keeps_nothing_else_from_being_recorded(
        manager, virt, pair):
    pair.add_instance(pair.primary, uuid=OTHER, name='second')
    pair.add_instance(pair.replica, uuid=OTHER, name='second')
    put(pair, power_state=4)
    add_guest(manager, virt)
    add_guest(manager, virt, OTHER)
    virt.fail_next('get_instance', PermissionError('denied'))
    assert manager._sync_power_states(context.new()).recorded == 1


def test_a_pass_repairs_nothing_more_once_the_service_ends(
        manager, virt, pair):
    """What goes off from now on may be the machine going down."""
    many(manager, virt, pair, 4)
    manager.conf.set_override('sync_power_state_pool_size', 1, 'tasks')
    manager.driver = Intruder(virt, 'power_off', before=manager.stopping.set)
    report = manager._sync_power_states(context.new())
    assert (report.acted, report.refused) == (1, 3)
    assert acted(pair) == 1
    power_states.check_instance(manager, context.new(), many_uuid(3))
    assert acted(pair) == 1


def test_a_pass_obeys_an_operator_who_turns_it_off(manager, virt, pair):
    many(manager, virt, pair, 4)
    manager.conf.set_override('sync_power_state_pool_size', 1, 'tasks')
    manager.driver = Intruder(
        virt, 'power_off', before=lambda: manager.conf.set_override(
            'sync_power_state_mode', 'observe', 'tasks'))
    report = manager._sync_power_states(context.new())
    assert (report.acted, report.refused) == (1, 3)


def test_a_replica_that_has_lost_its_rows_stops_nothing(
        manager, virt, pair):
    put(pair, power_state=1)
    add_guest(manager, virt)
    pair.sql(pair.replica, 'DELETE FROM instances')
    report = manager._sync_power_states(context.new())
    assert report.candidates == 0
    assert power_of(virt) == states.RUNNING


def test_a_foreign_guest_is_not_touched(manager, virt, pair):
    put(pair, vm_state='stopped', power_state=4)
    virt.add_foreign(UUID, virt_claim.Owner('another', 'database'))
    report = manager._sync_power_states(context.new())
    assert (report.acted, report.failed) == (0, 1)
    assert power_of(virt) == states.RUNNING
    assert row(pair)[0] == 'stopped'
    [[fault]] = pair.sql(pair.primary, 'SELECT fault FROM instances')
    assert 'belongs to host database' in fault


def test_a_hint_is_checked_on_the_primary(manager, virt, pair):
    put(pair, 'primary', power_state=1)
    put(pair, 'replica', vm_state='stopped')
    add_guest(manager, virt, power_state=states.CRASHED)
    ctxt = context.new()
    power_states.check_instance(manager, ctxt, UUID)
    assert ctxt.reads.by_role == {'primary': 1}
    assert row(pair) == ('stopped', None, states.CRASHED, None)


def test_a_hint_about_an_instance_that_is_worked_on_is_dropped(
        manager, virt, pair):
    put(pair, power_state=1, task_state='rebooting')
    add_guest(manager, virt, power_state=states.SHUTDOWN)
    power_states.check_instance(manager, context.new(), UUID)
    assert row(pair) == ('active', 'rebooting', 1, None)


class Intruder(driver.ComputeDriver):
    """A driver during one call of which something else happens, once."""

    def __init__(self, virt, method, before=None, after=None):
        self._virt = virt
        self._method = method
        self._before = before
        self._after = after

    def __getattribute__(self, name):
        if name.startswith('_'):
            return object.__getattribute__(self, name)
        found = getattr(self._virt, name)
        if name != self._method:
            return found

        def call(*args):
            self._method = None
            if self._before:
                self._before()
            result = found(*args)
            if self._after:
                self._after()
            return result
        return call


Intruder.__abstractmethods__ = frozenset()


def rival(manager, refused, facts):
    """Return a function that asks for a claim, and notes that it is lost."""
    def ask():
        try:
            manager.claims.claim(context.new(), UUID, 'x', facts)
        except exception.ClaimLost as error:
            refused.append(error)
    return ask


def test_a_pass_that_died_after_its_claim_leaves_nothing_to_finish(
        manager, virt, pair):
    """Its successor must judge again: nothing had been decided."""
    put(pair, 'replica', vm_state='stopped', power_state=4)
    put(pair, 'primary', vm_state='stopped', power_state=4)
    add_guest(manager, virt)

    class Killed(BaseException):
        pass

    def die():
        manager.claims.release = lambda *_: None
        raise Killed
    manager.driver = Intruder(virt, 'get_instance', before=die)
    with pytest.raises(Killed):
        manager._sync_power_states(context.new())
    assert row(pair)[1] is None
    assert row(pair)[3] is not None


def test_a_claim_granted_after_it_was_given_up_is_released(
        manager, virt, pair):
    put(pair, power_state=1)
    add_guest(manager, virt)
    for path in (pair.primary, pair.replica):
        pair.sql(path, "UPDATE instances SET claim_id = 'late', "
                 'claim_owner = ?', manager.claims.claim_owner)
    manager._sync_power_states(context.new())
    assert row(pair) == ('active', None, 1, None)


def test_a_driver_that_raises_anything_leaves_no_claim(
        manager, virt, pair):
    put(pair, vm_state='stopped', power_state=4)
    add_guest(manager, virt)
    virt.fail_next('get_instance', PermissionError('denied'))
    report = manager._sync_power_states(context.new())
    assert (report.refused, report.recorded) == (1, 1)
    assert row(pair) == ('stopped', None, states.RUNNING, None)
