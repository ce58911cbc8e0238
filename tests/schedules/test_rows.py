"""What commits may not make of rows and of the clock; each is caught."""

import collections
import types

import pytest

from computed import states
from tests.schedules import clocks as clocks_module
from tests.schedules import rows as rows_module
from tests.schedules import wishes

UUID = '00000000-0000-4000-8000-000000000001'


class Scene:
    """A row, its guest, and the failures found."""

    def __init__(self):
        self.now, self.power, self.kinds = 0.0, states.RUNNING, []
        self.losses = []
        judge = types.SimpleNamespace(
            losses=self.losses, jumped=False, looks=collections.Counter(),
            claimed=lambda claim_id: None,
            fail=lambda kind, text: self.kinds.append(kind))
        self.rows = rows_module.Rows(
            lambda: self.now, judge, lambda host, uuid: [self.power])
        self._row = {
            'uuid': UUID, 'host': 'h0', 'revision': 0, 'claim_id': None,
            'claim_owner': None, 'service_id': 's1', 'task_state': None,
            'settled_claim_id': None, 'deleted': 0, 'clean_attempts': 0,
            'cleaned': 0, 'guest_left': 0,
            'vm_state': states.ACTIVE, 'power_state': states.RUNNING}
        self.commit()

    def commit(self, **values):
        self.now += 1
        self._row = {**self._row, **values,
                     'revision': self._row['revision'] + 1}
        self.rows.committed([self._row])

    def purge(self):
        self.rows.committed([])

    def lose(self, **values):
        self.losses.append((self.now, 'a dump is restored'))
        self._row = {**self._row, **values}
        self.rows.lost([self._row])

    def acts(self, claim_id, machine='m0'):
        self.rows.acts(wishes.Act(
            UUID, 'power_off', (machine, 1), claim_id, 'stop'))

    def becomes(self, power):
        self.now += 1
        self.rows.had(UUID, self.power)
        self.power = power


@pytest.fixture
def scene():
    return Scene()


def test_a_power_state_is_recorded_that_the_guest_has_or_just_had(scene):
    scene.becomes(states.SHUTDOWN)
    scene.commit(power_state=states.SHUTDOWN)
    scene.becomes(states.RUNNING)
    scene.becomes(states.SHUTDOWN)
    scene.commit(power_state=states.RUNNING)
    assert scene.kinds == []


def test_a_power_state_is_recorded_that_the_guest_never_had(scene):
    scene.commit(power_state=states.NOSTATE)
    assert scene.kinds == ['record']


def test_a_record_undoes_a_later_result(scene):
    scene.becomes(states.SHUTDOWN)
    scene.commit(power_state=states.SHUTDOWN, vm_state=states.STOPPED)
    scene.commit(power_state=states.RUNNING)
    assert scene.kinds == ['record']


@pytest.mark.parametrize('service, kinds', [
    ('s1', []), ('s2', ['ended-by-former'])])
def test_a_claim_is_ended_by_the_service_that_has_the_host(
        scene, service, kinds):
    scene.commit(claim_id='c1', claim_owner='s1:b1')
    scene.commit(service_id=service)
    scene.commit(claim_id=None, claim_owner=None)
    assert scene.kinds == kinds


def test_a_claim_of_a_former_service_is_taken_over_first(scene):
    scene.commit(claim_id='c1', claim_owner='s1:b1')
    scene.commit(claim_id='c2', claim_owner='s2:b2', service_id='s2')
    scene.commit(claim_id=None, claim_owner=None)
    assert scene.kinds == []


@pytest.mark.parametrize('machine, row, kinds', [
    ('m0', {}, []),
    ('m0', {'settled_claim_id': None}, []),     # but it says the same
    ('m0', {'settled_claim_id': None, 'vm_state': states.ACTIVE},
     ['regressed']),
    # It has done nothing to this guest before.
    ('m1', {'settled_claim_id': None, 'vm_state': states.ACTIVE}, [])])
def test_a_guest_is_changed_whose_row_lacks_the_last_act(
        scene, machine, row, kinds):
    scene.commit(claim_id='c1', claim_owner='s1:b1')
    scene.acts('c1')
    scene.commit(claim_id=None, settled_claim_id='c1',
                 vm_state=states.STOPPED)
    scene.becomes(states.SHUTDOWN)
    scene.lose(**row)
    scene.commit(claim_id='c2')
    scene.acts('c2', machine)
    assert scene.kinds == kinds


@pytest.mark.parametrize('before, kinds', [('c1', []), ('c0', ['regressed'])])
def test_a_claim_is_taken_over_after_commits_were_lost(scene, before, kinds):
    scene.commit(claim_id='c1')
    scene.acts('c1')
    scene.becomes(states.SHUTDOWN)
    scene.lose(claim_id=before)
    scene.commit(claim_id='c2')
    scene.acts('c2')
    assert scene.kinds == kinds


def test_a_dump_says_the_same_as_an_act_whose_end_is_lost(scene):
    scene.commit(claim_id='c1')
    scene.acts('c1')
    scene.lose(claim_id=None, vm_state=states.STOPPED)
    scene.becomes(states.RUNNING)
    scene.commit(claim_id='c2')
    scene.acts('c2')
    assert scene.kinds == []


@pytest.mark.parametrize('read_at, kinds', [(1, ['overwritten']), (2, [])])
def test_a_user_changes_what_somebody_else_has_changed(
        scene, read_at, kinds):
    scene.commit(vm_state=states.STOPPED)
    scene.commit()
    scene.rows.saved(UUID, read_at, 3)
    assert scene.kinds == kinds


@pytest.mark.parametrize('shown, kinds', [
    ([('s1', 'i1', 5), ('s1', 'i1', 6), ('s1', 'i1', 7)], []),
    # A dump lacks seconds, and a new incarnation begins, or does not.
    ([('s1', 'i1', 5), ('s1', 'i1', 6), ('s2', 'i2', 3), ('s2', 'i2', 4)],
     []),
    ([('s1', 'i1', 5), ('s1', 'i1', 6), ('s1', 'i1', 7), ('s2', 'i1', 3),
      ('s2', 'i1', 4)], ['old-incarnation']),
    # Perhaps it has no answer, and does not know that one.
    ([('s1', 'i1', 5), ('s1', 'i1', 6), ('s2', 'i1', 3), ('s2', 'i1', 4)],
     []),
    # A former primary comes back after a later incarnation.
    ([('s1', 'i1', 5), ('s1', 'i1', 6), ('s1', 'i1', 7), ('s2', 'i2', 7),
      ('s2', 'i2', 8), ('s2', 'i2', 9), ('s1', 'i1', 8)],
     ['old-incarnation'])])
def test_a_conductor_adds_seconds(shown, kinds):
    found = []
    judge = types.SimpleNamespace(
        looks=collections.Counter(),
        fail=lambda kind, text: found.append(kind))
    clocks = clocks_module.Clocks(judge)
    for server, incarnation, seconds in shown:
        clocks.committed(server, 'c0.1', incarnation, seconds)
    assert found == kinds
    clocks.ended.add('i0')
    clocks.wrote('c0.1', 'i1')
    assert found == kinds
    for _ in range(2):
        clocks.wrote('c0.1', 'i0')
        assert found == [*kinds, 'old-incarnation']
        clocks.is_back('i0')


@pytest.mark.parametrize('attempts, seconds, kinds', [
    (1, 5, ['too-soon']), (1, 8, []), (2, 25, ['too-soon']), (2, 28, [])])
def test_files_are_removed_again_after_a_while(
        scene, attempts, seconds, kinds):
    scene.commit(vm_state=states.DELETED, deleted=1, clean_attempts=1)
    scene.now += seconds
    scene.commit(clean_attempts=attempts)
    scene.rows.acts(wishes.Act(
        UUID, 'destroy', ('m0', 1), 'c1', '_run_pending_deletes'))
    assert scene.kinds == kinds


@pytest.mark.parametrize('change, kinds', [
    ({}, []), ({'deleted': 0}, ['needed']), ({'cleaned': 0}, ['needed']),
    ({'guest_left': 1}, ['needed']), ({'claim_id': 'c1'}, ['needed'])])
def test_a_row_that_is_needed_is_not_purged(scene, change, kinds):
    scene.commit(**{'deleted': 1, 'cleaned': 1, **change})
    scene.purge()
    assert scene.kinds == kinds
