"""The judge itself: a cell that does wrong is caught by each invariant."""

import types

import pytest

from computed import states
from tests.schedules import clocks
from tests.schedules import database
from tests.schedules import judge as judge_module
from tests.schedules import reads as reads_module
from tests.schedules import verdict
from tests.schedules import wishes

UUID = '00000000-0000-4000-8000-000000000001'


class Scene:
    """A judge, its clock, and one instance that its user wants on."""

    def __init__(self):
        self.now, self.claim, self.vm_state = 0.0, 'c1', states.ACTIVE
        self.judge = judge_module.Judge(
            lambda: self.now, lambda text: None,
            lambda uuid: (self.claim, self.vm_state))
        self.machine = types.SimpleNamespace(name='m0', host='h0')
        self.guest = self.judge.creates(UUID, self.machine)
        self.judge.created(self.guest, wishes.ACCEPTED)
        self.request('build')
        self.act('spawn', 'build', None, states.RUNNING)

    def request(self, op, outcome=wishes.ACCEPTED):
        request = self.judge.asks(self.guest, op)
        self.judge.told(self.guest, request, outcome)
        return request

    def act(self, what, operation, before, after, claim='c1', failed=False):
        act = wishes.Act(UUID, what, ('m0', 1), claim, operation)
        self.judge.begins(act)
        self.judge.acted(act, before, after, failed)

    def kinds(self):
        return [kind for kind, *_ in self.judge.found]


@pytest.fixture
def scene():
    return Scene()


def test_what_a_user_asked_for_is_right(scene):
    scene.request('stop')
    scene.act('power_off', 'stop', states.RUNNING, states.SHUTDOWN)
    scene.request('start')
    scene.act('power_on', 'start', states.SHUTDOWN, states.RUNNING)
    scene.request('delete')
    scene.act('destroy', 'delete', states.RUNNING, None)
    assert scene.kinds() == []
    assert scene.guest.wishes == {wishes.GONE}


def test_a_task_ends_a_guest_whose_user_wants_it_on(scene):
    scene.act('power_off', '_sync_power_states', states.RUNNING,
              states.SHUTDOWN)
    assert scene.kinds() == ['killed']


def test_a_task_starts_a_guest_whose_user_stopped_it(scene):
    scene.request('stop')
    scene.act('power_off', 'stop', states.RUNNING, states.SHUTDOWN)
    scene.act('power_on', '_sync_power_states', states.SHUTDOWN,
              states.RUNNING)
    assert scene.kinds() == ['started']


def test_a_task_may_stop_what_died_and_came_back(scene):
    scene.judge.befalls(UUID, 'ends')
    scene.act('power_off', '_sync_power_states', states.RUNNING,
              states.SHUTDOWN)
    assert scene.kinds() == []


def test_a_stopped_instance_is_rebooted(scene):
    scene.request('stop')
    scene.act('power_off', 'stop', states.RUNNING, states.SHUTDOWN)
    scene.request('reboot')
    scene.act('reboot', 'reboot', states.SHUTDOWN, states.RUNNING)
    assert scene.kinds() == ['wrong-state']


def test_recovery_may_finish_what_a_user_asked_for(scene):
    scene.request('stop')
    scene.act('power_off', 'recover', states.RUNNING, states.SHUTDOWN)
    assert scene.kinds() == []
    assert scene.guest.wishes == {wishes.OFF}


@pytest.mark.parametrize('failed, kinds', [(True, []), (False, ['not-done'])])
def test_recovery_tries_to_pause_a_guest_that_has_ended(
        scene, failed, kinds):
    scene.request('pause')
    scene.judge.befalls(UUID, 'ends')
    scene.act('pause', 'recover', states.SHUTDOWN, states.SHUTDOWN,
              failed=failed)
    assert [kind for kind, _ in verdict._requests(
        scene.guest, _row(vm_state=states.STOPPED))] == kinds


@pytest.mark.parametrize('vm_state, kinds', [
    (states.BUILDING, ['killed']), (states.ERROR, [])])
def test_recovery_removes_what_was_told_to_end(scene, vm_state, kinds):
    scene.vm_state = vm_state
    scene.act('destroy', 'recover', states.RUNNING, None)
    assert scene.kinds() == kinds


def test_recovery_tries_to_stop_a_guest_that_is_gone(scene):
    request = scene.request('stop')
    scene.act('power_off', 'recover', None, None, failed=True)
    assert request.done


@pytest.mark.parametrize('before, kinds', [
    (states.RUNNING, []), (states.SHUTDOWN, ['refused-but-done'])])
def test_recovery_that_changes_nothing_was_for_any_request(
        scene, before, kinds):
    request = scene.request('start')
    scene.act('power_on', 'recover', before, states.RUNNING)
    scene.judge.told(scene.guest, request, wishes.REFUSED)
    assert [kind for kind in scene.kinds()
            if kind != 'started'] == kinds


def test_recovery_removes_what_was_half_built(scene):
    scene.guest.requests.clear()
    request = scene.request('build')
    scene.act('destroy', 'recover', None, None)
    assert request.done


def test_a_machine_that_has_lost_its_state_leaves_things_undone(scene):
    scene.machine.guests = types.SimpleNamespace(infos={
        UUID: types.SimpleNamespace(power_state=states.RUNNING)})
    scene.request('stop')
    scene.judge.forgets(scene.machine)
    assert scene.guest.wishes == {wishes.ON, wishes.OFF}
    assert list(verdict._requests(scene.guest, _row())) == []


@pytest.mark.parametrize('keep_guest, vm_state, wanted', [
    (True, states.STOPPED, {wishes.ON}),
    (False, states.STOPPED, {wishes.OFF}),
    (False, states.SOFT_DELETED, {wishes.DELETED}),
    # The guest is left alone.
    (False, None, {wishes.ON, wishes.OFF, wishes.GONE})])
def test_an_operator_decides_what_is_right(
        scene, keep_guest, vm_state, wanted):
    scene.machine.guests = types.SimpleNamespace(infos={
        UUID: types.SimpleNamespace(power_state=states.RUNNING)})
    scene.vm_state = vm_state
    right = scene.judge.decides(scene.guest, keep_guest)
    # Until it is told, it may be refused.
    assert scene.guest.wishes == {wishes.ON} | wanted
    scene.judge.decided(scene.guest, right)
    assert scene.guest.wishes == wanted and scene.guest.decided
    scene.judge.lost('a restore')
    assert not scene.guest.decided


def test_what_nobody_asked_for(scene):
    scene.act('power_off', 'stop', states.RUNNING, states.SHUTDOWN)
    assert scene.kinds() == ['unasked']


def test_a_request_that_was_given_up_long_ago_is_begun(scene):
    scene.request('stop', wishes.UNKNOWN)
    scene.now = wishes.LATE + 1
    scene.act('power_off', 'stop', states.RUNNING, states.SHUTDOWN)
    assert scene.kinds() == ['late']


def test_an_earlier_request_does_not_excuse_a_late_one(scene):
    scene.request('reboot')
    scene.act('reboot', 'reboot', states.RUNNING, states.RUNNING)
    scene.request('reboot', wishes.UNKNOWN)
    scene.now = wishes.LATE + 1
    scene.act('reboot', 'reboot', states.RUNNING, states.RUNNING)
    assert scene.kinds() == ['late']


def test_a_request_that_was_claimed_in_time_may_end_late(scene):
    scene.request('stop', wishes.UNKNOWN)
    scene.judge.claimed('c1')
    scene.now = wishes.LATE + 1
    scene.act('power_off', 'stop', states.RUNNING, states.SHUTDOWN)
    assert scene.kinds() == []


def test_a_request_is_carried_out_twice(scene):
    scene.request('reboot')
    for _ in range(2):
        scene.act('reboot', 'reboot', states.RUNNING, states.RUNNING)
    assert scene.kinds() == ['twice']


def test_a_refused_request_is_carried_out(scene):
    request = scene.judge.asks(scene.guest, 'stop')
    scene.act('power_off', 'stop', states.RUNNING, states.SHUTDOWN)
    scene.judge.told(scene.guest, request, wishes.REFUSED)
    assert scene.kinds() == ['refused-but-done']


def test_an_act_without_a_claim(scene):
    scene.request('stop')
    scene.claim = None
    scene.act('power_off', 'stop', states.RUNNING, states.SHUTDOWN)
    assert scene.kinds() == ['act-without-claim']


def test_two_acts_at_once(scene):
    for claim in ('c1', 'c2'):
        scene.claim = claim
        scene.judge.begins(wishes.Act(
            UUID, 'power_off', ('m0', 1), claim, 'recover'))
    assert scene.kinds() == ['two-acts']


def test_an_act_whose_daemon_died_is_over(scene):
    scene.judge.begins(wishes.Act(
        UUID, 'power_off', ('m0', 1), 'c1', 'recover'))
    scene.judge.crashed('m0')
    scene.judge.begins(wishes.Act(
        UUID, 'power_off', ('m0', 1), 'c1', 'recover'))
    assert scene.kinds() == []


# -- reads

class Log:
    """A primary and a replica that lacks what came after ``split``."""

    def __init__(self, times, split):
        commits = [types.SimpleNamespace(at=at, by='c0') for at in times]
        self.primary = types.SimpleNamespace(name='s1', log=commits)
        self.replica = types.SimpleNamespace(name='s2', log=commits[:split])
        self.reigning = [self.primary]

    def shared(self, server, commits):
        return min(commits, len(server.log))

    def primaries(self, since):
        return self.reigning


@pytest.mark.parametrize('change, kind', [
    ({}, None),
    ({'age': 2.0}, 'understated'),
    ({'age': 2.0, 'reason': 'after_host'}, 'understated'),
    ({'age': 2.0, 'reason': 'after_host', 'exact': True}, None),
    ({'bound': 3.0}, 'too-old'),
    ({'strict': True}, 'strict-from-replica')])
def test_an_answer_of_a_replica(scene, change, kind):
    # It lacks the commit at 6, and the read is at 10.
    log, scene.now = Log([1.0, 6.0], split=1), 10.0
    values = {'age': 5.0, 'bound': 8.0, 'strict': False,
              'exact': False, 'reason': 'lag_tolerant', **change}
    reads_module.Reads(log, lambda: scene.now, scene.judge).answered(
        reads_module.Answer(log.replica, 1, 'replica', revisions={},
                            **values))
    assert scene.kinds() == ([kind] if kind else [])


@pytest.mark.parametrize('age, kinds', [(5.0, []), (1.0, ['stale-strict'])])
def test_a_strict_answer_has_all_that_came_before_the_question(
        scene, age, kinds):
    log, scene.now = Log([1.0, 6.0], split=1), 10.0
    reads_module.Reads(log, lambda: scene.now, scene.judge).answered(
        reads_module.Answer(log.replica, 1, 'primary', 'strict', age, 0.0,
                            True, False, {}))
    assert scene.kinds() == kinds


@pytest.mark.parametrize('role', ['primary', 'replica'])
@pytest.mark.parametrize('lacks', [0, 1])
def test_what_came_back_with_a_former_primary_is_not_missed(
        scene, role, lacks):
    log, scene.now = Log([1.0, 6.0], split=1), 10.0
    log.reigning.insert(lacks, log.replica)
    reads_module.Reads(log, lambda: scene.now, scene.judge).answered(
        reads_module.Answer(log.replica, 1, role, 'lag_tolerant', 1.0, 1.0,
                            False, False, {}))
    assert scene.kinds() == []


def test_a_start_takes_the_database_that_its_last_attempt_finds(scene):
    found = reads_module.Reads(None, None, scene.judge)
    ours, other = (types.SimpleNamespace(name=name)
                   for name in ('s1', database.OTHER))
    start, rpc = (types.SimpleNamespace(process='c0.1', name=name)
                  for name in ('start', 'rpc'))
    assert not found.is_another(start, ours)
    assert not found.is_another(rpc, other)
    assert found.is_another(start, other)
    assert found.is_another(rpc, other)


def test_an_exact_answer_has_every_change_of_its_host(scene):
    log, scene.now = Log([1.0], split=1), 10.0
    found = reads_module.Reads(log, lambda: scene.now, scene.judge)
    server = types.SimpleNamespace(
        rows=lambda sql: [{'name': 'h0', 'revision': 7}])
    found.committed(server, types.SimpleNamespace(
        at=5.0, touches=lambda table: True))
    for revision, kinds in ((7, []), (6, ['after-host'])):
        found.answered(reads_module.Answer(
            log.replica, 1, 'replica', 'after_host', 1.0, 0.0, False,
            True, {'h0': revision}))
        assert scene.kinds() == kinds
    scene.judge.found.clear()
    found.lost()
    found.answered(reads_module.Answer(
        log.replica, 1, 'replica', 'after_host', 1.0, 0.0, False, True,
        {'h0': 6}))
    assert scene.kinds() == []


def test_a_user_does_not_see_what_it_wrote(scene):
    found = reads_module.Reads(Log([], 0), lambda: 0.0, scene.judge)
    rows = [types.SimpleNamespace(uuid=UUID, name='old', revision=1)]

    class Rows(list):
        origin = None

    found.renamed('h0', UUID, 'new', 2, Rows(rows))
    assert scene.kinds() == ['own-write']


# -- the verdict

def _kinds(cell):
    return [kind for kind, _ in verdict.problems(cell)]


def _row(**values):
    return {'uuid': UUID, 'claim_id': None, 'claim_owner': None,
            'task_state': None, 'launched_at': 'then', 'deleted': False,
            'fault': None, 'vm_state': states.ACTIVE,
            'power_state': states.RUNNING, 'host': 'h0', **values}


LOGGED = {'claim_id': 'c1', 'operation': 'build', 'result': 'done'}


def _cell(scene, tmp_path, rows, guests, guest_claims=()):
    (tmp_path / 'claims').mkdir(parents=True, exist_ok=True)
    infos = {uuid: types.SimpleNamespace(power_state=power)
             for uuid, power in guests.items()}
    service = types.SimpleNamespace(
        claims=types.SimpleNamespace(
            in_hand=set(), service_id='s1',
            settled=types.SimpleNamespace(held=dict)),
        runner=types.SimpleNamespace(
            digest=lambda: {'overdue': [], 'failing': []}))
    scene.machine.__dict__.update(
        alive=True, ready=True, may_be_down=False, service=service,
        state_path=str(tmp_path),
        guests=types.SimpleNamespace(infos=infos, files=set()))
    primary = types.SimpleNamespace(wall=lambda: 1000.0)
    primary.rows = lambda sql: list(
        rows if 'instances' in sql else
        [] if 'interrupt' in sql else
        [LOGGED] if 'events' in sql else guest_claims)
    return types.SimpleNamespace(
        judge=scene.judge, machines=[scene.machine], processes=[],
        clocks=clocks.Clocks(scene.judge),
        consumers=None, tokens=None, storage=None,
        cluster=types.SimpleNamespace(primary=primary))


@pytest.mark.parametrize('row, guests, kinds', [
    ({}, {UUID: states.RUNNING}, []),
    ({'claim_id': 'c1', 'claim_owner': 'x'}, {UUID: states.RUNNING},
     ['claim-left']),
    ({'task_state': 'powering-off'}, {UUID: states.RUNNING},
     ['task-state-left']),
    ({}, {UUID: states.SHUTDOWN}, ['disagree', 'lost-request']),
    ({'vm_state': states.ERROR, 'launched_at': None},
     {UUID: states.RUNNING}, ['runs-in-error']),
    ({'power_state': states.SHUTDOWN}, {UUID: states.RUNNING},
     ['power-state']),
    ({'vm_state': states.STOPPED, 'power_state': states.SHUTDOWN},
     {UUID: states.SHUTDOWN}, ['lost-request'])])
def test_what_is_found_in_the_end(scene, tmp_path, row, guests, kinds):
    assert _kinds(_cell(scene, tmp_path, [_row(**row)], guests)) == kinds


@pytest.mark.parametrize('minute, row, kinds', [
    (1, {}, ['files-left']), (16, {}, []), (1, {'clean_failed': 1}, []),
    (1, {'clean_attempts': 7}, [])])
def test_files_of_what_was_deleted_long_ago(
        scene, tmp_path, minute, row, kinds):
    cell = _cell(scene, tmp_path, [_row(**{
        'deleted': True, 'vm_state': states.DELETED, 'clean_attempts': 1,
        'clean_failed': 0, 'power_state': states.NOSTATE,
        'terminated_at': f'1970-01-01 00:{minute:02}:00', **row})], {})
    scene.guest.wishes = {wishes.GONE}
    scene.machine.guests.files.add(UUID)
    assert _kinds(cell) == kinds


def test_a_claim_of_a_former_service_on_a_guest_that_is_elsewhere(
        scene, tmp_path):
    row = _row(claim_id='c1', claim_owner='s0:run', vm_state=states.BUILDING)
    assert _kinds(_cell(scene, tmp_path, [row], {})) == []
    row = {**row, 'claim_owner': 's1:run'}
    assert 'claim-left' in _kinds(_cell(scene, tmp_path, [row], {}))


@pytest.mark.parametrize('born, kinds', [
    (wishes.REFUSED, ['refused-but-done']), (wishes.UNKNOWN, [])])
def test_a_create_that_was_refused(scene, tmp_path, born, kinds):
    scene.judge.created(scene.guest, born)
    cell = _cell(scene, tmp_path, [_row()], {UUID: states.RUNNING})
    assert _kinds(cell) == kinds


def test_a_request_that_was_accepted_is_never_done(scene, tmp_path):
    scene.request('reboot')
    cell = _cell(scene, tmp_path, [_row()], {UUID: states.RUNNING})
    assert _kinds(cell) == ['not-done']


def test_a_row_that_is_gone(scene, tmp_path):
    cell = _cell(scene, tmp_path, [], {UUID: states.RUNNING})
    assert _kinds(cell) == ['row-lost']


def test_a_claim_on_a_guest_without_a_row(scene, tmp_path):
    cell = _cell(scene, tmp_path, [_row()], {UUID: states.RUNNING},
                 [{'uuid': UUID}])
    assert _kinds(cell) == ['guest-claim-left']


@pytest.mark.parametrize('event, losses, kinds', [
    ({'result': None}, [], ['act-goes-on']),
    ({'result': None}, ['a dump'], ['act-goes-on']),
    ({'claim_id': 'c2'}, [], ['act-not-logged']),
    ({'claim_id': 'c2'}, ['a dump'], [])])
def test_an_act_that_the_log_lacks_or_that_never_ends(
        scene, tmp_path, monkeypatch, event, losses, kinds):
    monkeypatch.setitem(globals(), 'LOGGED', {**LOGGED, **event})
    scene.judge.losses += losses
    cell = _cell(scene, tmp_path, [_row()], {UUID: states.RUNNING})
    assert _kinds(cell) == kinds


def test_a_guest_that_runs_twice(scene, tmp_path):
    cell = _cell(scene, tmp_path, [_row()], {UUID: states.RUNNING})
    cell.machines.append(types.SimpleNamespace(
        name='x2', host='h2', alive=False, ready=False, may_be_down=True,
        guests=scene.machine.guests))
    assert _kinds(cell) == ['runs-twice']


@pytest.mark.parametrize('wrong, kind', [
    (lambda machine: setattr(machine, 'alive', False), 'host-down'),
    (lambda machine: machine.service.claims.in_hand.add('c1'), 'in-hand'),
    (lambda machine: setattr(machine.service.runner, 'digest', lambda: {
        'overdue': [], 'failing': ['_sync_power_states']}), 'task'),
    (lambda machine: setattr(machine.service.claims.settled, 'held',
                             lambda: {UUID: None}), 'held')])
def test_a_daemon_that_is_not_well(scene, tmp_path, wrong, kind):
    cell = _cell(scene, tmp_path, [_row()], {UUID: states.RUNNING})
    wrong(scene.machine)
    assert _kinds(cell) == [kind]


def test_an_instance_that_is_held_though_an_operator_has_decided(
        scene, tmp_path):
    scene.judge.forgetful.append(scene.machine)
    cell = _cell(scene, tmp_path, [_row()], {UUID: states.RUNNING})
    scene.machine.service.claims.settled.held = lambda: {UUID: None}
    assert _kinds(cell) == []
    scene.judge.decided(scene.guest, {wishes.ON})
    assert _kinds(cell) == ['still-held']


def test_an_entry_that_is_left_in_the_journal(scene, tmp_path):
    cell = _cell(scene, tmp_path, [_row()], {UUID: states.RUNNING})
    (tmp_path / 'claims' / 'c1.json').write_text('{}')
    assert _kinds(cell) == ['journal-left']


def test_a_thread_that_died(scene, tmp_path):
    cell = _cell(scene, tmp_path, [_row()], {UUID: states.RUNNING})
    cell.processes.append(types.SimpleNamespace(
        failures=[('heartbeat', ValueError('x'))]))
    assert _kinds(cell) == ['uncaught']
