"""Every cell of the table of states."""

import dataclasses
import types

import pytest

from computed import states
from computed.repair import memory
from computed.repair import policy
from computed.tasks.power_states import drift
from computed.tasks.power_states import task
from computed.virt import driver

RUNNING, PAUSED = states.RUNNING, states.POWER_PAUSED
SHUTDOWN, CRASHED = states.SHUTDOWN, states.CRASHED
SUSPENDED, NOSTATE = states.POWER_SUSPENDED, states.NOSTATE
ACTUAL = (RUNNING, PAUSED, SHUTDOWN, CRASHED, SUSPENDED, NOSTATE)

# vm_state: what follows from each of ACTUAL; 'warn' does nothing but warn.
TABLE = {
    'active': (None, 'warn', 'stop', 'stop', 'stop', 'warn'),
    'stopped': ('stop', 'stop', None, None, 'stop', None),
    'paused': (None, None, 'stop', 'stop', None, None),
    'soft-delete': ('warn', 'warn', None, 'warn', 'warn', None),
    'deleted': ('warn', 'warn', None, 'warn', 'warn', None),
    'building': (None,) * 6,
    'rescued': (None,) * 6,
    'resized': (None,) * 6,
    'suspended': (None,) * 6,
    'error': (None,) * 6,
    'shelved': (None,) * 6,
    'shelved_offloaded': (None,) * 6,
}
CELLS = [(vm_state, actual, outcome) for vm_state, row in TABLE.items()
         for actual, outcome in zip(ACTUAL, row, strict=True)]


@pytest.mark.parametrize('vm_state, actual, outcome', CELLS)
def test_the_table(vm_state, actual, outcome):
    verdict = drift.judge(vm_state, actual, actual)
    assert verdict.repair == (None if outcome == 'warn' else outcome)
    assert bool(verdict.warning) == (outcome == 'warn')
    assert not verdict.record


@pytest.mark.parametrize('vm_state, actual, outcome', CELLS)
def test_a_power_state_that_differs_is_recorded_in_every_cell(
        vm_state, actual, outcome):
    assert drift.judge(vm_state, recorded=99, actual=actual).record


@pytest.mark.parametrize('actual, repair', [
    (RUNNING, 'adopt'), (PAUSED, 'adopt'), (SUSPENDED, 'stop'),
    (SHUTDOWN, None)])
def test_adopting_takes_what_runs_as_it_is(actual, repair):
    assert drift.judge('stopped', actual, actual,
                              unexpected='adopt').repair == repair


@pytest.mark.parametrize('actual', [RUNNING, PAUSED, SUSPENDED])
def test_logging_repairs_nothing_that_runs_unexpectedly(actual):
    verdict = drift.judge('stopped', actual, actual, unexpected='log')
    assert verdict.repair is None
    assert verdict.warning


def test_after_a_restart_of_the_machine_guests_may_be_resumed():
    verdict = drift.judge('active', RUNNING, SHUTDOWN, resume=True)
    assert verdict.repair == 'resume'
    assert drift.judge(
        'stopped', SHUTDOWN, SHUTDOWN, resume=True).repair is None


@dataclasses.dataclass
class Row:
    uuid: str = 'u1'
    vm_state: str = 'active'
    power_state: int = RUNNING
    task_state: str | None = None
    claim_id: str | None = None


def compare(row, **guests):
    manager = types.SimpleNamespace(
        after_reboot=False, task_memory=memory.Memory(),
        conf=types.SimpleNamespace(
            tasks=types.SimpleNamespace(stop_unexpectedly_running='stop')))
    return task.POLICY.candidates(manager, policy.Look(
        [row], driver.Snapshot(True, {
            uuid: driver.InstanceInfo(uuid, power_state)
            for uuid, power_state in guests.items()})))


def test_what_agrees_is_not_mentioned():
    assert compare(Row(), u1=RUNNING) == []


def test_what_differs_is_found():
    [(row, verdict)] = compare(Row(), u1=CRASHED)
    assert (row.uuid, verdict.repair, verdict.record) == ('u1', 'stop', True)


@pytest.mark.parametrize('row', [Row(task_state='powering-off'),
                                 Row(claim_id='c1')], ids=str)
def test_what_somebody_works_on_is_left_alone(row):
    assert compare(row, u1=CRASHED) == []


def test_a_guest_missing_from_a_complete_snapshot_is_absent():
    [(_, verdict)] = compare(Row())
    assert verdict.record
    assert verdict.warning
    assert verdict.repair is None
