"""Freeze and thaw: no caller gets a claim; work that has begun goes on."""

import signal

import pytest

from computed import chance
from computed import context
from computed import exception
from computed import states
from computed.claims import absence
from computed.conductor import client as conductor_client
from computed.objects import freeze as freeze_obj
from computed.objects import host as host_obj
from computed.operations import operation
from computed.operations import power
from computed.operations import recover
from computed.tasks.power_states import task as power_states
from tests.functional import test_claims_of_several as several
from tests.support import fixtures
from tests.support import prefork

UUID = fixtures.UUID
ACTIVE = {'vm_state': 'active', 'task_state': None}


def freeze(host=None, reason='disks', by='root@here'):
    return freeze_obj.Freeze.impose(
        context.new(), host, reason, by, chance.uuid())


def thaw(host=None):
    found = freeze_obj.Freeze.get_by_host(context.new(), host)
    return found is not None and freeze_obj.Freeze.lift(
        context.new(), host, found.freeze_id)


def claimed(manager):
    return manager.claims.claim(context.new(), UUID, 'test', ACTIVE)


@pytest.mark.parametrize('host', [None, fixtures.HOST])
def test_no_claim_is_granted_until_it_is_thawed(
        manager, pair, tmp_path, host):
    freeze(host)
    before = several.revision(pair)
    with pytest.raises(exception.Frozen, match='disks') as refused:
        claimed(manager)
    assert refused.value.kwargs['by'] == 'root@here'
    assert refused.value.kwargs['since'].startswith('20')
    assert several.rows(pair) == [('active', None, None)]
    assert several.revision(pair) == before
    assert several.journaled(tmp_path) == []
    assert thaw(host) is True
    manager.claims.release(context.new(), claimed(manager))


def test_nor_one_on_a_guest_without_an_instance(manager, pair):
    listing = absence.listing(manager.claims, context.new())
    freeze(fixtures.HOST)
    # The freeze has raised the revision of the host; after another read the
    # claim is refused too.
    for listed in (listing, absence.listing(manager.claims, context.new())):
        with pytest.raises(exception.Frozen):
            absence.claim(
                manager.claims, context.new(), listed, several.GUEST, 'remove')
    assert several.guests_claimed(pair) == []


def test_another_host_is_not_frozen(manager, pair):
    pair.sql(pair.primary, 'INSERT OR IGNORE INTO hosts VALUES '
             "('h0', 1, '2026-01-01 00:00:00.000000')")
    freeze('h0')
    claimed(manager)
    pair.sql(pair.primary, "DELETE FROM hosts WHERE name = 'h0'")


def test_a_second_freeze_changes_the_reason_not_the_time(manager):
    first = freeze()
    second = freeze(reason='the network', by='you')
    assert (second.reason, second.by) == ('the network', 'you')
    assert second.since == first.since
    assert (thaw(), thaw()) == (True, False)


@pytest.mark.parametrize('host', [None, fixtures.HOST])
def test_a_late_thaw_does_not_end_a_newer_freeze(manager, host):
    seen = freeze(host)
    newer = freeze(host, 'the network', 'you')
    with pytest.raises(exception.FreezeChanged, match='the network'):
        freeze_obj.Freeze.lift(context.new(), host, seen.freeze_id)
    assert freeze_obj.Freeze.get_by_host(
        context.new(), host).freeze_id == newer.freeze_id
    assert thaw(host) is True
    freeze(host)
    for late in (seen, newer):
        with pytest.raises(exception.FreezeChanged):
            freeze_obj.Freeze.lift(context.new(), host, late.freeze_id)
    with pytest.raises(exception.Frozen):
        claimed(manager)


@pytest.mark.both_transports
def test_what_was_given_up_while_the_conductor_slept_is_not_begun(
        shared, host_side):
    """The thaw waits in the socket of a process that reads nothing."""
    seen = freeze()
    brief = conductor_client.ConductorAPI(host_side.transport, timeout=2)
    shared.process.send_signal(signal.SIGSTOP)
    try:
        ctxt = context.new()
        ctxt.conductor = brief
        with pytest.raises(exception.OutcomeUnknown):
            freeze_obj.Freeze.lift(ctxt, None, seen.freeze_id)
    finally:
        shared.process.send_signal(signal.SIGCONT)
    shared.program.wait_for_output('Dropped a request')
    assert freeze_obj.Freeze.get_by_host(context.new(), None)
    assert thaw() is True       # it serves what comes now


def test_an_unknown_host_is_refused(manager):
    for change in (freeze, thaw):
        with pytest.raises(exception.HostNotFound):
            change('nobody')


def test_both_freezes_must_end(manager):
    freeze()
    freeze(fixtures.HOST, 'its fans')
    thaw()
    with pytest.raises(exception.Frozen, match='its fans'):
        claimed(manager)


def test_a_claim_granted_before_is_settled(manager, pair):
    got = claimed(manager)
    freeze()
    manager.claims.settle(context.new(), got, vm_state='stopped',
                          task_state=None)
    assert several.rows(pair) == [('stopped', None, None)]


def test_a_grant_whose_reply_was_lost_is_one_granted_before(
        manager, pair, lossy):
    conductor = lossy(1)
    inner, freezes = conductor.inner, []

    class Freezing:
        """The freeze comes between the lost reply and the repetition."""

        def __getattr__(self, name):
            return getattr(inner, name)

        def object_class_action_versions(self, *args):
            answer = inner.object_class_action_versions(*args)
            if not freezes:
                freezes.append(pair.sql(
                    pair.primary, 'INSERT INTO freezes VALUES '
                    "('(all)', 'r', 'b', '2026-01-01 00:00:00.000000', 'f')"))
            return answer
    conductor.inner = Freezing()
    got = claimed(manager)
    assert several.rows(pair) == [('active', None, got.claim_id)]


def test_what_was_begun_is_finished_by_the_successor(manager, pair):
    manager.claims.claim(context.new(), UUID, 'stop', ACTIVE,
                         task_state=states.POWERING_OFF)
    freeze()
    several.successor(manager)
    recover.recover(manager, context.new(), several.listed(), lambda: None)
    assert several.rows(pair) == [('stopped', None, None)]


@pytest.mark.both_transports
def test_users_are_refused_with_the_reason(manager):
    freeze()
    with pytest.raises(exception.Frozen, match='stop is refused.*disks'):
        operation.claimed(manager, context.new(), power.STOP, UUID)


def test_a_task_says_so_once_and_still_records(
        manager, virt, pair, caplog):
    for path in (pair.primary, pair.replica):   # either may answer
        pair.sql(path, 'DELETE FROM instances')
    for number in range(3):
        uuid = f'00000000-0000-4000-8000-{number:012}'
        for path in (pair.primary, pair.replica):
            pair.add_instance(path, uuid=uuid, name='m')
        virt.add_foreign(uuid, manager.claims.owner, states.CRASHED)
    manager.conf.set_override('sync_power_state_pool_size', 1, 'tasks')
    freeze()
    report = manager._sync_power_states(context.new())
    assert (report.acted, report.refused, report.recorded) == (0, 3, 3)
    assert 'Every host is frozen' in report.note
    assert sum('is frozen' in record.getMessage()
               for record in caplog.records) == 1
    assert {row[:2] for row in several.rows(
        pair, 'vm_state, power_state')} == {('active', states.CRASHED)}
    thaw()
    assert manager._sync_power_states(context.new()).acted == 3


def test_a_hint_still_records(manager, virt, pair):
    virt.set_power_state(UUID, states.CRASHED)
    freeze()
    power_states.check_instance(manager, context.new(), UUID)
    assert several.rows(pair, 'vm_state, power_state') == [
        ('active', states.CRASHED)]


def test_hosts_show_it(manager):
    def shown():
        freeze = host_obj.Host.get_by_name(
            context.new(), fixtures.HOST).freeze
        [listed] = host_obj.HostList.get_all(context.new())
        assert (listed.freeze and listed.freeze.reason) == (
            freeze and freeze.reason)
        return freeze and freeze.reason
    assert shown() is None
    freeze(fixtures.HOST, 'its fans')
    assert shown() == 'its fans'
    freeze()
    assert shown() == 'disks'


def manage(pair, *argv):
    """Run computed-manage; returns its status and all it said."""
    done = prefork.run('computed.cmd.manage', '--config-file',
                       str(pair.folder / 'computed.conf'), *argv)
    return done.returncode, done.stdout + done.stderr


def test_the_command_line_freezes_and_thaws(manager, pair):
    status, said = manage(pair, 'freeze', '--host', 'h1', '--reason', 'fans')
    assert status == 0 and said.startswith('Host h1 is frozen since 20')
    status, said = manage(pair, 'host', 'show', 'h1', '--strict',
                          '-f', 'value', '-c', 'frozen', '-c', 'frozen_by')
    assert status == 0 and said.startswith('fans\n') and '@' in said
    # Nothing is recorded that could not be built.
    status, said = manage(pair, 'instance', 'create', 'new', '--command',
                          'sleep 1')
    assert status == 1 and 'build is refused' in said
    assert len(several.rows(pair)) == 1
    assert manage(pair, 'thaw', '--host', 'h1') == (
        0, 'The freeze of host h1 has ended.\n')
    status, said = manage(pair, 'freeze', '--host', 'no', '--reason', 'x')
    assert status == 1 and 'There is no host no.' in said
    # All hosts are meant only if the operator says so.
    for argv in (['freeze', '--reason', 'x'], ['thaw']):
        status, said = manage(pair, *argv)
        assert status == 2 and '--host --all is required' in said
