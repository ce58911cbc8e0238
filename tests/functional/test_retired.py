"""A host that does not come back is deleted, and its instances too.

Should it come back all the same, it destroys the guests that were deleted.
"""

import functools
import signal
import uuid

import psutil
import pytest

from computed import concurrency
from computed import context
from computed import exception
from computed import states
from computed.claims import journal
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.operations import recover
from tests.functional import test_claims_of_several as several
from tests.functional import test_freeze
from tests.functional import test_held_claims
from tests.support import fixtures
from tests.support import process_guests
from tests.support import waiting

HOST, UUID = fixtures.HOST, fixtures.UUID
# The default of service_down_time, in seconds.
DOWN_AFTER = test_held_claims.DOWN_AFTER
TABLES = ('hosts', 'services', 'compute_nodes', 'freezes', 'guest_claims')
manage = test_freeze.manage
held = test_held_claims.held
silence = test_held_claims.silence


def left(pair, table):
    """The number of rows that a table has of the host."""
    column = 'name' if table == 'hosts' else 'host'
    [[found]] = pair.sql(pair.primary, f'SELECT count(*) FROM {table} '
                         f'WHERE {column} = ?', HOST)
    return found


def row(pair, columns='deleted, guest_left, task_state, claim_id, fault'):
    [found] = pair.sql(
        pair.primary, f'SELECT {columns} FROM instances WHERE uuid = ?', UUID)
    return found


def highest(pair):
    [[found]] = pair.sql(pair.primary, 'SELECT max(revision) FROM hosts')
    return found


def delete_host(force=True):
    return host_obj.Host.delete(context.new(), HOST, force, 'root@here')


def delete_instance(force=False, host=HOST):
    return instance_obj.Instance.delete_on_record(
        context.new(), UUID, host, force)


def record(manager):
    """One run of the task that a host has at its start and each minute."""
    report = manager.update_available_resource(context.new())
    manager.workers.shutdown(wait=True)
    manager.workers = concurrency.executor('operation', 1)
    return report


def come_back(manager, host_side, virt):
    """The host of ``manager`` starts again, with the guests that it has."""
    found = host_side.manager(virt)
    found.claims.settled = manager.claims.settled
    live = instance_obj.InstanceList.get_by_host(
        context.new(), HOST, use_slave=False)
    recover.recover(found, context.new(), live, lambda: None)
    return found


# -- host delete

def test_a_host_that_is_heard_is_kept(pair, manager, silence):
    for seconds in (0, DOWN_AFTER / 2):
        silence(seconds)
        for force in ([], ['--force']):
            status, said = manage(pair, 'host', 'delete', HOST, *force)
            assert status == 1 and said.count('\n') == 1
            assert f'computed of host {HOST} was heard' in said
            assert 'silent for 60 s. --force does not change that' in said
    assert left(pair, 'hosts') == left(pair, 'services') == 1


def test_one_with_instances_is_kept_unless_that_is_forced(
        pair, manager, silence):
    silence(DOWN_AFTER + 1)
    status, said = manage(pair, 'host', 'delete', HOST)
    assert status == 1 and said.count('\n') == 1
    assert 'because 1 of its instances are not deleted' in said
    assert '`computed-manage instance delete --force`' in said
    assert left(pair, 'hosts') == left(pair, 'services') == 1
    before = row(pair, 'vm_state, power_state, revision')
    assert manage(pair, 'host', 'delete', HOST, '--force') == (
        0, f'{HOST}: deleted\n1 instances are left without a host. '
        '`instance delete` deletes their records.\n')
    assert left(pair, 'hosts') == left(pair, 'services') == 0
    assert row(pair, 'vm_state, power_state, revision') == before
    # It is shown without its host.
    status, said = manage(pair, 'instance', 'show', 'web', '--strict')
    assert status == 0 and HOST in said


def test_all_that_it_had_ends_with_it(pair, manager, held, silence):
    manager.update_available_resource(context.new())
    pair.sql(pair.primary, 'INSERT INTO guest_claims VALUES (?, ?, ?, ?, '
             "'2026-01-01 00:00:00.000000')", several.GUEST, HOST,
             str(uuid.uuid4()), manager.claims.claim_owner)
    test_freeze.freeze(HOST)
    assert [left(pair, table) for table in TABLES] == [1] * len(TABLES)
    silence(DOWN_AFTER + 1)
    status, said = manage(pair, 'host', 'delete', HOST, '--force')
    assert status == 0
    assert said.startswith(f'{HOST}: deleted; ended: 2 claims, its freeze\n')
    assert [left(pair, table) for table in TABLES] == [0] * len(TABLES)
    assert row(pair) == (0, 0, None, None, None)


def test_a_host_is_deleted_once_and_an_unknown_name_helps(
        pair, manager, silence):
    silence(DOWN_AFTER + 1)
    status, said = manage(pair, 'host', 'delete', HOST + '1', '--force')
    assert status == 1 and f'Do you mean {HOST}?' in said
    delete_host()
    with pytest.raises(exception.HostNotFound):
        delete_host()
    for reserved in ('(none)', '(all)', ''):
        with pytest.raises(exception.HostNotFound):
            host_obj.Host.delete(context.new(), reserved, True, 'root@here')
    assert pair.sql(pair.primary, 'SELECT name FROM hosts') == [('(none)',)]


def test_a_host_that_comes_back_begins_above_its_former_life(
        pair, manager, silence):
    pair.sql(pair.primary, 'UPDATE hosts SET revision = 1000 WHERE name = ?',
             HOST)
    silence(DOWN_AFTER + 1)
    delete_host()
    fixtures.register(HOST, str(uuid.uuid4()))
    assert several.revision(pair) > 1000
    # What it has is its own again.
    [found] = instance_obj.InstanceList.get_by_host(
        context.new(), HOST, use_slave=False)
    assert found.uuid == UUID


def test_a_holder_that_comes_back_records_nothing(
        pair, manager, held, silence):
    silence(DOWN_AFTER + 1)
    delete_host()
    fixtures.register(HOST, manager.claims.claim_owner.partition(':')[2])
    assert manager.claims.settle(
        context.new(), held, vm_state='stopped', task_state=None) is None
    assert row(pair, 'vm_state') == ('active',)


# -- instance delete

def test_an_instance_of_a_host_that_may_work_is_kept(
        pair, manager, silence):
    for force in (True, False):
        with pytest.raises(exception.HostHeard):
            delete_instance(force)
    status, said = manage(pair, 'instance', 'delete', 'web', '--force')
    assert status == 1 and 'may still act' in said
    silence(DOWN_AFTER + 1)
    status, said = manage(pair, 'instance', 'delete', 'web')
    assert status == 1 and said.count('\n') == 1
    assert 'may come back' in said and '--force' in said
    assert row(pair) == (0, 0, None, None, None)


def test_it_is_deleted_without_a_silent_host_if_that_is_forced(
        pair, manager, held, silence):
    silence(DOWN_AFTER + 1)
    said = (f'web: deleted without its host. If {HOST} comes back, it '
            'destroys the guest\n')
    assert manage(pair, 'instance', 'delete', 'web', '--force') == (0, said)
    assert row(pair) == (1, 1, None, None, None)
    before = row(pair, '*')
    # A repeat that comes late changes nothing.
    assert delete_instance(force=True).deleted
    assert row(pair, '*') == before
    status, said = manage(pair, 'instance', 'delete', 'web', '--force')
    assert status == 1 and 'There is no instance web.' in said
    assert manage(pair, 'host', 'delete', HOST) == (0, f'{HOST}: deleted\n')


def test_it_is_deleted_without_a_deleted_host(pair, manager, silence):
    silence(DOWN_AFTER + 1)
    delete_host()
    status, said = manage(pair, 'instance', 'delete', 'web', '--wait')
    assert status == 0 and said.startswith('web: deleted without its host')
    assert said.endswith('web: deleted\n')
    assert row(pair) == (1, 1, None, None, None)
    assert row(pair, 'revision')[0] == highest(pair)


def test_one_that_has_moved_meanwhile_is_kept(pair, manager, silence):
    silence(DOWN_AFTER + 1)
    fixtures.add_service(pair.primary, 'another')
    pair.sql(pair.primary, "INSERT INTO hosts VALUES ('another', 1, "
             "'2026-01-01 00:00:00.000000')")
    with pytest.raises(exception.InstanceChanged):
        delete_instance(force=True, host='another')
    assert row(pair) == (0, 0, None, None, None)


def test_one_without_a_host_leaves_no_guest(pair, manager):
    pair.sql(pair.primary, 'UPDATE instances SET host = NULL')
    assert manage(pair, 'instance', 'delete', 'web') == (
        0, 'web: deleted without its host\n')
    assert row(pair)[:2] == (1, 0)


# -- the host comes back

@pytest.fixture
def gone(pair, manager, silence):
    """The host was deleted, and then its instance."""
    silence(DOWN_AFTER + 1)
    delete_host()
    delete_instance()


@pytest.fixture
def returned(gone, manager, host_side, virt):
    return come_back(manager, host_side, virt)


def guests(virt):
    return set(virt.list_instances().instances)


def test_it_destroys_the_guest_and_the_note_is_gone(
        pair, returned, virt, tmp_path):
    assert 'guests of 1 instances' in record(returned).note
    assert guests(virt) == set()
    assert row(pair) == (1, 0, None, None, None)
    assert row(pair, 'vm_state, power_state') == ('deleted', states.NOSTATE)
    assert several.journaled(tmp_path) == []
    # The next pass finds nothing to do.
    assert 'guests' not in (
        returned.update_available_resource(context.new()).note or '')


def test_another_instance_of_the_same_name_stays(
        pair, returned, virt):
    other = str(uuid.uuid4())
    instance_obj.Instance(
        context.new(), **{**fixtures.INSTANCE, 'uuid': other}).create()
    virt.add_foreign(other, returned.claims.owner)
    record(returned)
    assert guests(virt) == {other}


def test_a_guest_that_cannot_be_destroyed_is_tried_again(
        pair, returned, virt, monkeypatch):
    def fail(claim):
        raise exception.DriverError(reason='no')
    with monkeypatch.context() as patch:
        patch.setattr(virt, 'destroy', fail)
        record(returned)
    assert row(pair) == (1, 1, None, None, 'delete: The driver failed: no.')
    assert guests(virt) == {UUID}
    record(returned)
    assert row(pair) == (1, 0, None, None, None)
    assert guests(virt) == set()


def test_nothing_is_destroyed_while_it_is_frozen(pair, returned, virt):
    test_freeze.freeze()
    assert 'frozen' in record(returned).note
    assert guests(virt) == {UUID}
    assert row(pair)[1] == 1


def test_nor_by_a_run_that_was_replaced(pair, returned, virt):
    fixtures.register(HOST, str(uuid.uuid4()))
    record(returned)
    assert guests(virt) == {UUID}
    assert row(pair)[1] == 1


def test_another_service_of_that_name_destroys_it_too(
        pair, returned, virt, tmp_path):
    """... although the former one had begun to."""
    begun = returned.claims.claim(
        context.new(), UUID, 'delete', {'deleted': True})
    assert row(pair, 'claim_id') == (begun.claim_id,)
    other = str(uuid.uuid4())
    fixtures.silence(functools.partial(pair.sql, pair.primary), HOST,
                     DOWN_AFTER + 1)
    fixtures.register(HOST, other, other)
    claims = returned.claims
    returned.claims = type(claims)(
        claims.owner.database_id, HOST, other, other,
        journal.Journal(tmp_path / 'other'))
    record(returned)
    assert guests(virt) == set()
    assert row(pair) == (1, 0, None, None, None)


def test_a_request_that_comes_late_destroys_nothing_more(
        pair, returned, virt):
    """A second claim on a guest that was destroyed is refused."""
    expected = {'deleted': True, 'guest_left': True}
    record(returned)
    with pytest.raises(exception.ClaimLost):
        returned.claims.claim(context.new(), UUID, 'delete', expected)


def test_a_database_that_forgets_the_deletion_destroys_nothing(
        pair, returned, virt):
    """The host has destroyed the guest, and does not build it again."""
    before = {'deleted': 0, 'guest_left': 0, 'vm_state': 'active',
              'power_state': 1, 'revision': 7, 'settled_claim_id': None}
    record(returned)
    pair.sql(pair.primary, 'UPDATE instances SET ' + ', '.join(
        f'{name} = ?' for name in before), *before.values())
    pair.sql(pair.primary, "UPDATE database_identity SET incarnation = 'x'")
    with pytest.raises(exception.InstanceRegressed):
        returned.claims.claim(context.new(), UUID, 'stop', {})


def test_a_run_that_was_only_cut_off_registers_again(
        pair, manager, gone, virt):
    """It was alive all the time; it hears of nothing but its own beats."""
    claims = manager.claims
    assert not host_obj.Service.report(
        context.new(), HOST, claims.service_id,
        claims.claim_owner.partition(':')[2], '{}')['ours']
    fixtures.register(HOST, claims.claim_owner.partition(':')[2])
    record(manager)
    assert guests(virt) == set()
    assert row(pair) == (1, 0, None, None, None)


# -- the whole story, with processes

@pytest.fixture
def host(pair, tmp_path):
    """Starts computed as host h9 of this conductor."""
    path = tmp_path / 'computed.conf'
    path.write_text(
        f'[DEFAULT]\nhost = h9\nstate_path = {tmp_path}/state\n'
        f'transport_url = unix://{pair.folder}/rpc\n')
    programs = []

    def start():
        programs.append(fixtures.Program(
            'computed', tmp_path, '--config-file', str(path)))
        programs[-1].wait_for_output('is managed')
        return programs[-1]
    yield start
    for program in programs:
        program.end()
    process_guests.kill_guests(tmp_path)


def test_a_killed_host_is_retired_and_comes_back(pair, host):
    program = host()
    status, said = manage(pair, 'instance', 'create', 'db', '--host', 'h9',
                          '--command', 'sleep 1000', '--wait', '-f', 'value',
                          '-c', 'uuid', '-c', 'pid')
    assert status == 0, said
    name, pid = said.split()
    program.end(signal.SIGKILL)
    fixtures.silence(functools.partial(pair.sql, pair.primary), 'h9',
                     DOWN_AFTER + 1)
    assert manage(pair, 'host', 'delete', 'h9')[0] == 1
    assert manage(pair, 'host', 'delete', 'h9', '--force')[0] == 0
    assert 'h9' not in manage(pair, 'host', 'list', '--strict')[1]
    status, said = manage(pair, 'instance', 'delete', 'db')
    assert status == 0 and said.startswith('db: deleted without its host')
    assert psutil.pid_exists(int(pid))
    program = host()
    waiting.wait_for(lambda: not psutil.pid_exists(int(pid)), 20,
                     'the end of the guest')
    waiting.wait_for(lambda: pair.sql(
        pair.primary, 'SELECT deleted, guest_left, claim_id FROM instances '
        'WHERE uuid = ?', name) == [(1, 0, None)], 20, 'the end of the note')
    assert ') was deleted while this host was away' in (
        program.output())
    assert 'h9' in manage(pair, 'host', 'list', '--strict')[1]
