"""Builds and soft reboots that take too long.

Primary and replica differ on purpose, as in ``test_power_sync``.
"""

import pytest

from computed import clock
from computed import context
from computed import states
from computed.objects import instance as instance_obj
from computed.operations import build
from computed.operations import operation
from computed.operations import power
from computed.virt import driver
from tests.functional import test_regress
from tests.support import fixtures
from tests.support import hanging
from tests.support import waiting

UUID = fixtures.UUID
LONG_AGO = '2026-01-01 00:00:00.000000'
BUILD = 'instance_build_timeout'
REBOOT = 'reboot_timeout'


class Act:
    """A build or a soft reboot that hangs in the driver."""

    def __init__(self, manager, virt, pair, option):
        self.manager, self.virt, self.pair = manager, virt, pair
        self.option = option
        self.run = {BUILD: manager._check_instance_build_time,
                    REBOOT: manager._poll_rebooting_instances}[option]
        manager.conf.set_override(option, 500, 'tasks')
        manager.database_time.learn(clock.time())
        what, method, self.since = {
            BUILD: (build.BUILD, 'spawn', 'build_started_at'),
            REBOOT: (power.REBOOT, 'reboot', 'task_state_since')}[option]
        if option == BUILD:
            pair.sql(pair.primary, "UPDATE instances SET vm_state = "
                     "'building', power_state = 0")
        else:
            virt.add_foreign(UUID, manager.claims.owner, states.RUNNING)
        manager.driver = self.driver = hanging.HangingDriver(
            virt, method, UUID)
        operation.begin(manager, context.new(), what, UUID)
        waiting.wait_for(lambda: self.driver.hung, 20, method)

    def age(self):
        """Let the act have begun long ago."""
        self.pair.sql(self.pair.primary,
                      'UPDATE instances SET state_counted_at = -10000, '
                      f'{self.since} = ?', LONG_AGO)
        return self

    def replicate(self):
        """Let the replica have the row of the primary."""
        row, = self.pair.sql(self.pair.primary, 'SELECT * FROM instances')
        self.pair.sql(self.pair.replica, 'DELETE FROM instances')
        self.pair.sql(self.pair.replica, 'INSERT INTO instances VALUES '
                      f"({', '.join('?' * len(row))})", *row)
        return self

    def row(self, columns='vm_state, task_state, fault'):
        [found] = self.pair.sql(
            self.pair.primary, f'SELECT {columns} FROM instances')
        return found

    def end(self):
        """Let the driver return; wait for the end of the claim."""
        self.driver.let_go()
        waiting.wait_for(lambda: self.row('claim_id') == (None,), 20,
                         'the end of the act')

    def events(self):
        return self.pair.sql(
            self.pair.primary, 'SELECT operation, state_after, result, reason '
            'FROM events ORDER BY id')


@pytest.fixture
def act(fresh, virt, pair):
    """Return a function that begins an act that hangs."""
    begun = []

    def begin(option):
        begun.append(Act(fresh.manager(virt), virt, pair, option))
        return begun[-1]
    yield begin
    for one in begun:
        one.driver.let_go()
        one.manager.calls.finish(20)


def test_a_build_that_takes_too_long_is_an_error_and_leaves_no_guest(act):
    found = act(BUILD).age().replicate()
    report = found.run(context.new())
    assert (report.candidates, report.acted) == (1, 1)
    fault = ('build: It took longer than 500 s, as [tasks] '
             'instance_build_timeout allows.')
    assert found.row() == ('error', 'spawning', fault)
    # It is told once.
    assert found.replicate().run(context.new()).candidates == 0
    found.end()
    assert found.row() == ('error', None, fault)
    assert found.virt.list_instances().instances == {}
    assert found.manager.claims.settled.held() == {}
    _, begun, interrupted = found.events()
    assert begun[:3] == ('build', 'error', 'failed')
    assert interrupted == ('interrupt', 'error', 'done', fault[7:])


@pytest.mark.parametrize('option', [BUILD, REBOOT])
def test_a_clock_that_jumps_ends_no_act(act, pair, option):
    found = act(option).age().replicate()
    pair.sql(pair.primary, 'UPDATE instances SET state_counted_at = 0')
    for seconds, ended in ((499, 0), (500, 1)):
        pair.sql(pair.primary, 'UPDATE cell_clock SET seconds = ?', seconds)
        report = found.run(context.new())
        assert (report.candidates, report.acted) == (1, ended)


def test_a_soft_reboot_that_takes_too_long_becomes_a_hard_one(act):
    found = act(REBOOT).age().replicate()
    assert found.run(context.new()).acted == 1
    assert found.row() == ('active', 'rebooting_hard', None)
    claim, = found.manager.claims.acting.values()
    # The driver stops waiting for the guest.
    assert claim.interruption.reason is not None
    # The hard one is not interrupted.
    assert found.age().replicate().run(context.new()).candidates == 0
    found.end()
    assert found.row() == ('active', None, None)


def test_a_hard_reboot_that_then_fails_is_an_error(act):
    found = act(REBOOT).age().replicate()
    found.run(context.new())
    found.virt.vanish(UUID)
    found.end()
    assert found.row('vm_state, task_state') == ('error', None)


def after_list(monkeypatch, function):
    """Call ``function`` when the list of a pass was read."""
    real = instance_obj.InstanceList.get_whole_by_host

    def read(*args, **kwargs):
        found = real(*args, **kwargs)
        function()
        return found
    monkeypatch.setattr(instance_obj.InstanceList, 'get_whole_by_host', read)


@pytest.mark.parametrize('option', [BUILD, REBOOT])
@pytest.mark.parametrize('way', ['before', 'after the list'])
def test_an_act_that_has_ended_is_left_alone(act, monkeypatch, option, way):
    found = act(option).age().replicate()
    if way == 'before':     # and the replica lags
        found.end()
    else:
        after_list(monkeypatch, found.end)
    report = found.run(context.new())
    assert report.acted == 0
    assert found.row() == ('active', None, None)
    assert found.virt.get_instance(UUID).power_state == states.RUNNING


@pytest.mark.parametrize('option', [BUILD, REBOOT])
def test_so_is_one_that_began_again(act, option):
    """The primary compares since when it goes on."""
    found = act(option).age().replicate()
    before = found.row()
    found.pair.sql(found.pair.primary, f'UPDATE instances SET {found.since} '
                   "= '2026-02-01 00:00:00.000000'")
    assert found.run(context.new()).lost_races == 1
    assert found.row() == before
    found.end()
    assert found.row() == ('active', None, None)


@pytest.mark.parametrize('times, before, vm_state', [
    (1, True, 'error'), (2, False, 'error'),
    # Nobody knows whether it is recorded, so the act goes on.
    (3, True, 'active'), (3, False, 'active')])
def test_answers_get_lost(act, lossy, monkeypatch, times, before, vm_state):
    found = act(BUILD).age().replicate()
    after_list(monkeypatch, lambda: lossy(times, before=before))
    found.run(context.new())
    found.end()
    assert found.row('vm_state, task_state') == (vm_state, None)
    assert found.manager.claims.settled.held() == {}
    assert len(found.virt.list_instances().instances) == (
        vm_state == 'active')


def test_a_build_that_nobody_carries_out_is_an_error(
        fresh, virt, pair, caplog):
    manager = fresh.manager(virt)
    manager.conf.set_override(BUILD, 500, 'tasks')
    manager.database_time.learn(clock.time())
    for path in (pair.primary, pair.replica):
        pair.sql(path, "UPDATE instances SET vm_state = 'building', "
                 'state_counted_at = -10000, build_started_at = ?',
                 LONG_AGO)
    assert manager._check_instance_build_time(context.new()).acted == 1
    [row] = pair.sql(pair.primary, 'SELECT vm_state, fault FROM instances')
    assert row[0] == 'error' and 'longer than 500 s' in row[1]


def test_a_guest_that_runs_is_not_removed_because_its_row_says_building(
        fresh, virt, pair):
    """A database that went back in time has lost the end of the build."""
    manager = fresh.manager(virt)
    manager.conf.set_override(BUILD, 500, 'tasks')
    manager.database_time.learn(clock.time())
    virt.add_foreign(UUID, manager.claims.owner, states.RUNNING)
    for path in (pair.primary, pair.replica):
        pair.sql(path, "UPDATE instances SET vm_state = 'building', "
                 'state_counted_at = -10000, build_started_at = ?',
                 LONG_AGO)
    assert manager._check_instance_build_time(context.new()).acted == 1
    assert pair.sql(pair.primary, 'SELECT vm_state, power_state, fault '
                    'FROM instances') == [('active', states.RUNNING, None)]
    assert UUID in virt.list_instances().instances


def test_one_that_has_not_begun_may_wait(fresh, virt, pair):
    manager = fresh.manager(virt)
    manager.conf.set_override(BUILD, 500, 'tasks')
    for path in (pair.primary, pair.replica):
        pair.sql(path, "UPDATE instances SET vm_state = 'building'")
    assert manager._check_instance_build_time(context.new()).candidates == 0


def test_a_service_that_is_killed_meanwhile_removes_the_guest_later(
        act, tmp_path):
    found = act(BUILD).age().replicate()
    found.run(context.new())
    claim, = found.manager.claims.acting.values()
    found.virt.spawn(claim, driver.InstanceSpec(
        uuid=UUID, name='web', command='x', vcpus=1, memory_mb=1, disk_gb=0,
        network='host'))
    fixtures.successor(found.manager, found.manager.claims.journal)
    found.manager.driver = found.virt
    test_regress.recovered(found.manager)
    assert found.row('vm_state, task_state, claim_id') == (
        'error', None, None)
    assert found.virt.list_instances().instances == {}


@pytest.mark.parametrize('option', [BUILD, REBOOT])
def test_an_operator_may_only_observe(act, option):
    found = act(option).age().replicate()
    before = found.row()
    found.manager.conf.set_override(f'{option}_mode', 'observe', 'tasks')
    assert found.run(context.new()).refused == 1
    found.manager.conf.set_override(f'{option}_mode', 'off', 'tasks')
    assert found.run(context.new()).candidates == 0
    assert found.row() == before


@pytest.mark.parametrize('option', [BUILD, REBOOT])
def test_nothing_to_do_costs_one_tolerant_read(fresh, virt, option):
    manager = fresh.manager(virt)
    run = (manager._check_instance_build_time if option == BUILD else
           manager._poll_rebooting_instances)
    ctxt = context.new()
    assert option in run(ctxt).note
    assert ctxt.reads.by_role == {}
    manager.conf.set_override(option, 500, 'tasks')
    assert run(ctxt).candidates == 0
    assert ctxt.reads.by_role == {'replica': 1}
    # What begins after that list is not due for long.
    assert run(ctxt).note.startswith('nothing can be due for ')
    assert ctxt.reads.by_role == {'replica': 1}


def test_a_row_that_nobody_reboots_is_no_candidate(fresh, virt, pair):
    manager = fresh.manager(virt)
    manager.conf.set_override(REBOOT, 500, 'tasks')
    manager.database_time.learn(clock.time())
    for path in (pair.primary, pair.replica):
        pair.sql(path, "UPDATE instances SET task_state = 'rebooting', "
                 'state_counted_at = -10000, task_state_since = ?',
                 LONG_AGO)
    assert manager._poll_rebooting_instances(context.new()).candidates == 0
