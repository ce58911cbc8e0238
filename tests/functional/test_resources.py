"""update_available_resource from end to end but for the hypervisor.

Writes are counted by triggers in the database, calls where they leave.
"""

import dataclasses
import functools
import itertools
import uuid

import pytest

from computed import context
from computed import exception
from computed.db.cell import migration
from computed.objects import host as host_obj
from computed.objects import resources as resources_obj
from computed.virt import memory
from tests.support import fixtures
from tests.support import schemas

HOST = fixtures.HOST
OURS = str(uuid.UUID(int=1))        # the identity of fixtures' manager
OTHER = str(uuid.UUID(int=2))
NOTHING = {'vcpus': 0, 'memory_mb': 0, 'disk_gb': 0}


class Figures(memory.MemoryDriver):
    """A host whose figures a test may change."""

    figures: dict = {}

    def host_resources(self):
        return dataclasses.replace(super().host_resources(), **self.figures)


@pytest.fixture(autouse=True)
def behind(pair):
    """The replica differs, so it must not seem to have reached all that the
    primary has, should a test before this one have brought it into use.
    """
    pair.sql(pair.replica, 'UPDATE hosts SET revision = 0')


@pytest.fixture
def virt(host_side):
    return Figures(host_side.conf)


@pytest.fixture
def manager(host_side, virt):
    return host_side.manager(virt)


@pytest.fixture
def written(pair):
    """The tables in which rows were written, one entry a row."""
    tables = [name for [name] in pair.sql(
        pair.primary, "SELECT name FROM sqlite_master WHERE type = 'table'")
        if name not in ('replica_heartbeats', 'cell_clock')]
    pair.sql(pair.primary, 'CREATE TABLE written (name TEXT)')
    for name, event in itertools.product(
            tables, ('INSERT', 'UPDATE', 'DELETE')):
        pair.sql(pair.primary, f'CREATE TRIGGER {name}_{event} AFTER {event} '
                 f"ON {name} BEGIN INSERT INTO written VALUES ('{name}'); "
                 'END')
    yield lambda: [name for [name] in pair.sql(
        pair.primary, 'SELECT name FROM written ORDER BY name')]
    for name, event in itertools.product(
            tables, ('INSERT', 'UPDATE', 'DELETE')):
        pair.sql(pair.primary, f'DROP TRIGGER {name}_{event}')
    pair.sql(pair.primary, 'DROP TABLE written')


@pytest.fixture
def calls(host_side):
    """The object methods called over RPC."""
    found = []
    inner = host_side.conductor._client.call

    def call(ctxt, method, **kwargs):
        found.append(kwargs.get('objmethod', method))
        return inner(ctxt, method, **kwargs)
    host_side.conductor._client.call = call
    return found


def run(manager):
    return manager.update_available_resource(context.new())


def node(name=HOST):
    return host_obj.ComputeNode.get_by_host(context.new(), name)


def promised(kind='used'):
    """The recorded ``{class: sum}``."""
    found = node()
    return {name: getattr(found, f'{name}_{kind}')
            for name in resources_obj.CLASSES}


def revision(pair, name=HOST):
    [[found]] = pair.sql(
        pair.primary, 'SELECT revision FROM hosts WHERE name = ?', name)
    return found


def only(pair, **columns):
    """The host has one instance, of these columns."""
    for path in (pair.primary, pair.replica):
        pair.sql(path, 'DELETE FROM instances')
    pair.add_instance(pair.primary, **{
        'vcpus': 2, 'memory_mb': 300, 'disk_gb': 5, **columns})


def test_the_first_pass_records_everything(manager, pair):
    only(pair)
    assert run(manager).note == 'written: all'
    found = node()
    assert (found.vcpus, found.memory_mb, found.disk_gb) == (8, 16384, 100)
    assert (found.memory_mb_available, found.disk_gb_free) == (8192, 50)
    assert promised() == {'vcpus': 2, 'memory_mb': 300, 'disk_gb': 5}
    assert resources_obj.inventory(found, 'vcpus') == (
        resources_obj.Inventory(8, 0, 4.0, 2, 0))
    assert resources_obj.inventory(found, 'memory_mb').free == (
        16384 - 512 - 300)
    assert found.service_id == OURS


# -- figures

def test_nothing_changed_is_one_call_and_no_write(
        manager, calls, written):
    manager.conf.set_override('cpu_allocation_ratio', 1.1, 'compute')
    run(manager)
    calls.clear()
    before = written()
    ctxt = context.new()
    assert manager.update_available_resource(ctxt).note is None
    assert calls == ['get_by_host']
    assert written() == before
    assert ctxt.reads.by_role == {'primary': 1}


def test_what_changed_is_one_more_call_and_one_row(
        manager, pair, calls, written):
    run(manager)
    pair.sql(pair.primary, 'UPDATE instances SET vcpus = 7')
    calls.clear()
    before, counted = revision(pair), len(written())
    assert run(manager).note == 'written: vcpus_used'
    assert calls == ['get_by_host', 'record']
    assert written()[:1] == ['compute_nodes']
    assert len(written()) == counted + 1
    assert promised()['vcpus'] == 7
    # No decision rests on it.
    assert revision(pair) == before


def test_memory_that_comes_and_goes_is_not_written(
        manager, virt, written):
    run(manager)
    before = written()
    for available in range(8192 - 700, 8192 + 700, 100):
        virt.figures = {'memory_mb_available': available}
        run(manager)
    assert written() == before
    virt.figures = {'memory_mb_available': 4000, 'disk_gb_free': 51}
    run(manager)
    found = node()
    assert (found.memory_mb_available, found.disk_gb_free) == (4000, 51)


def test_what_was_measured_long_ago_is_written_again(
        manager, virt, pair):
    run(manager)
    virt.figures = {'disk_gb_free': 51}
    assert run(manager).note is None
    pair.sql(pair.primary, 'UPDATE compute_nodes SET updated_at = '
             "strftime('%Y-%m-%d %H:%M:%S.000000', 'now', '-601 seconds')")
    assert run(manager).note == 'written: disk_gb_free'
    assert run(manager).note is None


# -- what counts

@pytest.mark.parametrize('columns, counts, claimed', [
    ({'vm_state': 'active'}, True, False),
    ({'vm_state': 'stopped', 'power_state': 4}, True, False),
    ({'vm_state': 'error', 'power_state': 0}, True, False),
    ({'vm_state': 'building', 'power_state': 0}, True, True),
    ({'vm_state': 'building', 'task_state': 'spawning'}, True, True),
    ({'vm_state': 'active', 'task_state': 'deleting'}, True, False),
    ({'vm_state': 'soft-delete'}, True, False),
    ({'vm_state': 'shelved'}, True, False),
    ({'vm_state': 'shelved_offloaded'}, False, False),
    ({'vm_state': 'shelved_offloaded', 'task_state': 'spawning'}, True,
     True),
    ({'vm_state': 'deleted', 'deleted': 1}, False, False),
    ({'host': 'h2'}, False, False),
    ({'host': None}, False, False),
], ids=str)
def test_which_instances_count(manager, pair, columns, counts, claimed):
    only(pair, **columns)
    run(manager)
    amounts = {'vcpus': 2, 'memory_mb': 300, 'disk_gb': 5}
    assert promised() == (amounts if counts else NOTHING)
    assert promised('claimed') == (amounts if claimed else NOTHING)


def test_all_instances_are_summed(manager, pair):
    only(pair, uuid=str(uuid.uuid4()))
    for number in range(2, 5):
        pair.add_instance(pair.primary, uuid=str(uuid.uuid4()),
                          vcpus=number, memory_mb=2 ** 31 - 1)
    run(manager)
    assert promised() == {'vcpus': 11, 'disk_gb': 5,
                          'memory_mb': 300 + 3 * (2 ** 31 - 1)}
    assert resources_obj.inventory(node(), 'memory_mb').free < 0


def test_a_host_without_instances_has_promised_nothing(manager, pair):
    pair.sql(pair.primary, 'DELETE FROM instances')
    run(manager)
    assert promised() == NOTHING


def test_a_replica_that_lags_changes_nothing(fresh, virt, pair):
    manager = fresh.manager(virt)
    run(manager)
    only(pair, vcpus=6)
    pair.add_instance(pair.replica, vcpus=99)
    ctxt = context.RequestContext(lag_tolerant=True)
    # The replica is in use, and would have been believed.
    found = resources_obj.ResourceUsage.get_by_host(ctxt, HOST, OURS)
    assert (found.vcpus_used, ctxt.reads.last.role) == (99, 'replica')
    run(manager)
    assert promised()['vcpus'] == 6


# -- options

def test_options_take_effect_with_the_next_pass(manager):
    run(manager)
    manager.conf.set_override('reserved_host_cpus', 2, 'compute')
    manager.conf.set_override('ram_allocation_ratio', 1.5, 'compute')
    assert run(manager).note == (
        'written: memory_mb_allocation_ratio, vcpus_reserved')
    assert resources_obj.inventory(node(), 'vcpus').capacity == 24
    manager.conf.clear_override('ram_allocation_ratio', 'compute')
    run(manager)
    assert node().memory_mb_allocation_ratio == 1.0


def test_options_that_leave_nothing_are_pointed_out_once(manager, caplog):
    manager.conf.set_override('reserved_host_memory_mb', 16384, 'compute')
    run(manager)
    assert 'Nothing of memory_mb is left for instances' in caplog.text
    assert resources_obj.inventory(node(), 'memory_mb').capacity == 0
    caplog.clear()
    manager.conf.set_override('reserved_host_cpus', 1, 'compute')
    run(manager)
    assert 'Nothing of' not in caplog.text


# -- bad days

def test_a_driver_that_is_not_ready_changes_nothing(manager, virt, calls):
    virt.fail_next('host_resources', exception.DriverNotReady(reason='x'))
    assert 'x' in run(manager).note
    assert calls == []


def test_a_record_that_changed_meanwhile_is_not_overwritten(
        manager, host_side, pair):
    run(manager)
    pair.sql(pair.primary, 'UPDATE instances SET vcpus = 7')
    inner = host_side.conductor._client.call

    def call(ctxt, method, **kwargs):
        if kwargs.get('objmethod') == 'record':
            pair.sql(pair.primary, 'UPDATE compute_nodes SET vcpus_used = 5, '
                     'generation = generation + 1')
        return inner(ctxt, method, **kwargs)
    host_side.conductor._client.call = call
    assert 'has changed the record' in run(manager).note
    assert promised()['vcpus'] == 5
    host_side.conductor._client.call = inner
    run(manager)
    assert promised()['vcpus'] == 7


def test_another_identity_is_a_change_that_decisions_may_rest_on(
        manager, pair):
    before = revision(pair)
    run(manager)
    assert revision(pair) == before + 1
    pair.sql(pair.primary, 'UPDATE compute_nodes SET service_id = ?', OTHER)
    run(manager)
    assert revision(pair) == before + 2
    assert pair.sql(pair.primary, 'SELECT revision FROM compute_nodes') == [
        (before + 2,)]


# -- nodes that vanished

@pytest.fixture
def former(manager, pair):
    """This host was called h0 before; ``run(manager)`` finds out."""
    host_obj.Service.register(
        context.new(), 'h0', OURS, str(uuid.uuid4()), fixtures.BOOT, '0')
    run(manager)
    pair.sql(pair.primary, 'INSERT INTO compute_nodes (host, vcpus, '
             'hypervisor_type, hypervisor_version, memory_mb, disk_gb, '
             'updated_at, revision, service_id) '
             "VALUES ('h0', 1, 'm', '1', 1, 1, "
             "'2026-01-01 00:00:00.000000', 1, ?)", OURS)
    silence(pair, 61)
    yield
    pair.sql(pair.primary, "DELETE FROM hosts WHERE name = 'h0'")


def silence(pair, seconds):
    fixtures.silence(functools.partial(pair.sql, pair.primary), 'h0',
                     seconds)


def hosts_with_nodes(pair):
    return [name for [name] in pair.sql(
        pair.primary, 'SELECT host FROM compute_nodes ORDER BY host')]


def test_the_node_of_a_former_name_is_deleted(
        manager, pair, former, calls):
    before = revision(pair, 'h0')
    assert run(manager).note is None
    assert hosts_with_nodes(pair) == [HOST]
    assert revision(pair, 'h0') == before + 1
    assert calls[-2:] == ['get_by_host', 'delete_former']
    calls.clear()
    run(manager)
    assert calls == ['get_by_host']


def test_a_node_of_another_identity_is_kept(manager, pair, former, calls):
    pair.sql(pair.primary, 'UPDATE compute_nodes SET service_id = ? '
             "WHERE host = 'h0'", OTHER)
    calls.clear()
    run(manager)
    assert calls == ['get_by_host']
    assert hosts_with_nodes(pair) == ['h0', HOST]


def test_a_node_with_instances_is_kept(manager, pair, former, calls):
    pair.add_instance(pair.primary, uuid=str(uuid.uuid4()), host='h0')
    calls.clear()
    run(manager)
    assert calls == ['get_by_host']
    assert hosts_with_nodes(pair) == ['h0', HOST]


def test_a_node_whose_host_is_heard_of_is_kept(manager, pair, former):
    """A copied state path gives two hosts one identity."""
    silence(pair, 50)
    before = revision(pair, 'h0')
    assert 'that host sends heartbeats' in run(manager).note
    assert hosts_with_nodes(pair) == ['h0', HOST]
    assert revision(pair, 'h0') == before


@pytest.mark.parametrize('change', [
    f"UPDATE compute_nodes SET service_id = '{OTHER}'",
    "UPDATE instances SET host = 'h0'"])
def test_the_primary_checks_again_before_it_deletes(
        manager, pair, former, change):
    pair.sql(pair.primary, change)
    assert host_obj.ComputeNode.delete_former(
        context.new(), HOST, 'h0', OURS) is False
    assert hosts_with_nodes(pair) == ['h0', HOST]


def test_our_own_node_is_never_a_former_one(manager, pair, former):
    silence(pair, 61)
    pair.sql(pair.primary, 'DELETE FROM instances')
    assert host_obj.ComputeNode.delete_former(
        context.new(), HOST, HOST, OURS) is False
    assert HOST in hosts_with_nodes(pair)


# -- the release before

def test_a_host_of_the_release_before_may_still_record(manager, pair):
    values = {'hypervisor_type': 'm', 'hypervisor_version': '1', 'vcpus': 1,
              'memory_mb': 2, 'disk_gb': 3}
    assert host_obj.ComputeNode.record(context.new(), HOST, values)
    assert not host_obj.ComputeNode.record(context.new(), HOST, values)
    found = node()
    assert resources_obj.inventory(found, 'vcpus') is None
    old = found.obj_to_primitive('1.0')['computed_object.data']
    assert {name: old[name] for name in values} == values
    assert not {'vcpus_used', 'service_id', 'generation'} & old.keys()
    run(manager)
    assert resources_obj.inventory(node(), 'vcpus').total == 8


def test_a_node_recorded_before_survives_the_migration(tmp_path):
    url = f'sqlite:///{tmp_path}/x.sqlite'
    schemas.upgrade(url, 'a1')
    sql = fixtures.SqlitePair.sql
    path = tmp_path / 'x.sqlite'
    sql(path, "INSERT INTO compute_nodes VALUES ('h1', 'm', '1', 1, 2, 3, "
        "'2026-01-01 00:00:00.000000', 1)")
    migration.sync(url)
    assert sql(path, 'SELECT host, disk_gb, generation, vcpus_used FROM '
               'compute_nodes') == [('h1', 3, 0, None)]
