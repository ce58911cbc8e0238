"""Rows that do not fit: refused when they are written, and shown as damaged
if something else has written them.
"""

import pytest

from computed import context
from computed import exception
from computed.cmd.manage import hosts
from computed.cmd.manage import instances
from computed.cmd.manage import usage
from computed.objects import bandwidth as bandwidth_obj
from computed.objects import freeze as freeze_obj
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
from computed.objects import resources as resources_obj
from tests.support import fixtures

OTHER = '22222222-2222-4333-8444-555555555555'
BOOT = '33333333-2222-4333-8444-555555555555'
NODE = {'hypervisor_type': 'process', 'hypervisor_version': '1',
        'service_id': OTHER, 'vcpus': 8, 'memory_mb': 1, 'disk_gb': 1}


@pytest.fixture
def registered(fresh, pair):
    """The host has a service and a compute node."""
    pair.sql(pair.primary, 'DELETE FROM services')
    host_obj.Service.register(
        context.new(), fixtures.HOST, OTHER, BOOT, BOOT, '1')
    host_obj.ComputeNode.record(context.new(), fixtures.HOST, NODE)


def report(digest):
    return host_obj.Service.report(
        context.new(), fixtures.HOST, OTHER, BOOT, digest)


def saved(**values):
    found = instance_obj.Instance.get_by_uuid(context.new(), fixtures.UUID)
    for name, value in values.items():
        setattr(found, name, value)
    found.save()


REFUSED = {
    'services.digest': lambda: report('{"failing": 7}'),
    'compute_nodes.vcpus': lambda: host_obj.ComputeNode.record(
        context.new(), fixtures.HOST, {**NODE, 'vcpus': 'abc'}),
    'compute_nodes.colour': lambda: host_obj.ComputeNode.record(
        context.new(), fixtures.HOST, {**NODE, 'colour': 'blue'}),
    'instances.name': lambda: saved(name='x' * 256),
    'instances.vcpus': lambda: saved(vcpus=2 ** 40),
}


@pytest.mark.parametrize('field', REFUSED)
def test_a_value_that_does_not_fit_is_not_written(registered, pair, field):
    def rows():
        return [pair.sql(pair.primary, f'SELECT * FROM {table}')
                for table in ('hosts', 'compute_nodes', 'instances')]
    before = rows()
    with pytest.raises(exception.InvalidValue, match=f'^{field} cannot be'):
        REFUSED[field]()
    assert rows() == before


def test_a_sound_report_is_written(registered):
    assert report('{"tasks": 3, "failing": [], "overdue": []}')


DAMAGE = {
    ('services', 'digest', '{"failing": 7}'): ('service.digest', 'failing'),
    ('compute_nodes', 'vcpus', 'abc'): ('compute_node.vcpus', 'vcpus'),
    ('compute_nodes', 'vcpus_used', 'abc'): (
        'compute_node.vcpus_used', 'vcpus'),
    ('compute_nodes', 'hypervisor_type', b'\xff'): (
        'compute_node.hypervisor_type', 'hypervisor_type'),
    ('compute_nodes', 'updated_at', 'yesterday'): (
        'compute_node.updated_at', None),
    ('services', 'last_seen', 'yesterday'): (
        'service.last_seen', 'last_seen'),
    ('services', 'version', b'\xff'): ('service.version', 'version'),
    ('hosts', 'created_at', 5): ('created_at', 'created_at'),
    ('hosts', 'revision', 'many'): ('revision', 'revision')}


@pytest.mark.parametrize('table, column, value', DAMAGE)
def test_a_damaged_row_is_shown_and_spoils_no_list(
        registered, pair, table, column, value):
    pair.sql(pair.primary, "INSERT INTO hosts VALUES ('h2', 1, '2026-01-01 "
             "00:00:00.000000')")
    where = 'name' if table == 'hosts' else 'host'
    pair.sql(pair.primary, f'UPDATE {table} SET {column} = ? WHERE {where} = '
             "'h1'", value)
    name, cell = DAMAGE[table, column, value]
    try:
        one, two = [hosts.describe_fully(found, 60) for found in
                    host_obj.HostList.get_all(context.new())]
        assert one['damaged'].machine_readable() == [name]
        assert not cell or one[cell].human_readable() == 'damaged'
        assert one['state'].machine_readable() == 'up'
        assert two['damaged'].human_readable() == '-'
        nodes = host_obj.ComputeNodeList.get_all(context.new())
        assert [node.host for node in nodes] == [fixtures.HOST]
    finally:
        pair.sql(pair.primary, "DELETE FROM hosts WHERE name = 'h2'")


def test_a_damaged_instance_spoils_no_list(fresh, pair):
    pair.add_instance(pair.primary, uuid=OTHER, name='sound', vcpus=3)
    pair.sql(pair.primary, "UPDATE instances SET power_state = 'abc', "
             "vcpus = 'many' WHERE uuid = ?", fixtures.UUID)
    [damaged, sound] = instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST)
    shown = instances.describe_fully(damaged)
    for name in ('power_state', 'vcpus'):
        assert shown[name].human_readable() == 'damaged'
    assert shown['memory_mb'].human_readable() == '0'
    assert (sound.vcpus, sound.damaged_fields()) == (3, [])
    # Its sound values are of use, and to write a value mends it.
    damaged.vcpus = 2
    damaged.save()
    assert damaged.damaged_fields() == ['power_state']


TIMES = ['created_at', 'task_state_since', 'build_started_at', 'launched_at',
         'updated_at', 'deleted_at', 'terminated_at']


@pytest.mark.parametrize('value', ['yesterday', 7, b'\xff', '2026-02-31'])
def test_a_time_that_is_none_spoils_no_list(fresh, pair, value):
    pair.add_instance(pair.primary, uuid=OTHER, name='sound')
    pair.sql(pair.primary, 'UPDATE instances SET ' + ', '.join(
        f'{name} = ?' for name in TIMES) + ' WHERE uuid = ?',
        *[value] * len(TIMES), fixtures.UUID)
    for found in (instance_obj.InstanceList.get_by_host(
            context.new(), fixtures.HOST), instance_obj.InstanceList.get_all(
                context.new(), limit=2)):
        sound, damaged = sorted(found, key=lambda one: one.name)
        assert damaged.damaged_fields() == sorted(
            TIMES, key=list(damaged.fields).index)
        shown = instances.describe_fully(damaged)
        assert shown['launched_at'].human_readable() == 'damaged'
        assert sound.damaged_fields() == []


@pytest.mark.parametrize('column, value', [
    ('command', 7), ('fault', b'\xff'), ('name', b'\xff'), ('host', None)])
def test_a_text_that_is_none_spoils_no_page(fresh, pair, column, value):
    pair.add_instance(pair.primary, uuid=OTHER, name='a')
    pair.sql(pair.primary, f'UPDATE instances SET {column} = ? '
             'WHERE uuid = ?', value, fixtures.UUID)
    found = instance_obj.InstanceList.get_all(context.new())
    assert {one.uuid for one in found} == {OTHER, fixtures.UUID}


def test_a_host_whose_heartbeats_are_damaged_was_never_heard(
        registered, pair):
    def counted():
        return pair.sql(pair.primary, 'SELECT seconds FROM cell_clock')[0][0]

    pair.sql(pair.primary, "UPDATE services SET heard_at = 'now'")
    before = counted()
    [found] = host_obj.HostList.get_all(context.new())
    # The clock may go on meanwhile.
    assert before <= found.service.silent_for <= counted()


@pytest.mark.parametrize('column', ['heard_at', 'heard_listened', 'began'])
@pytest.mark.parametrize('value', ['now', b'\xff'], ids=repr)
def test_a_service_whose_record_is_damaged_can_be_followed(
        registered, pair, column, value):
    """By another one once it is silent; the cell is no younger than that."""
    pair.sql(pair.primary, 'UPDATE cell_clock SET seconds = seconds + 1000, '
             'listened = listened + 1000, listened_at = listened_at + 1000')
    fixtures.silence(lambda statement: pair.sql(pair.primary, statement),
                     fixtures.HOST, 1000)
    pair.sql(pair.primary, f'UPDATE services SET {column} = ?', value)
    for life in (BOOT, OTHER), (OTHER, BOOT):
        host_obj.Service.register(
            context.new(), fixtures.HOST, *life, BOOT, '1', 'place', 5.0)
        assert host_obj.Service.report(
            context.new(), fixtures.HOST, *life, '{}', {})['ours']
        fixtures.silence(lambda statement: pair.sql(pair.primary, statement),
                         fixtures.HOST, 1000)


@pytest.mark.parametrize('column', ['frozen_at', 'reason', 'frozen_by'])
def test_a_damaged_freeze_is_a_freeze(registered, pair, column):
    freeze_obj.Freeze.impose(
        context.new(), fixtures.HOST, 'a look', 'somebody', OTHER)
    pair.sql(pair.primary, f'UPDATE freezes SET {column} = ?', b'\xff')
    [found] = host_obj.HostList.get_all(context.new())
    assert 'damaged' in (
        found.freeze.since, found.freeze.reason, found.freeze.by)


def test_a_damaged_count_of_bytes_is_shown_and_spoils_no_other(
        fresh, pair):
    sql = 'INSERT INTO bandwidth_usage VALUES (?, ?, ?, ?, 1, ?, 1, ?, 1)'
    for number, bytes_ in enumerate(['abc', 5]):
        pair.sql(pair.primary, sql, fixtures.UUID, f'02:0{number}',
                 '2026-01-01 00:00:00.000000', bytes_, bytes_, 'e')
    damaged, sound = bandwidth_obj.BandwidthUsageList.get_by_uuid(
        context.new(), fixtures.UUID, 10)
    assert damaged.damaged_fields() == ['bw_in', 'last_ctr_in']
    shown = usage.describe(damaged)
    assert shown['bw_in'].human_readable() == 'damaged'
    assert (sound.bw_in, sound.damaged_fields()) == (5, [])


def test_a_damaged_record_of_a_host_is_written_anew(
        registered, pair):
    pair.sql(pair.primary, "UPDATE compute_nodes SET updated_at = 'once'")
    found = resources_obj.ResourceUsage.get_by_host(
        context.new(), fixtures.HOST, OTHER)
    assert found.node_age is None
    assert found.compute_node.damaged_fields() == ['updated_at']
    host_obj.ComputeNode.record(
        context.new(), fixtures.HOST, {**NODE, 'vcpus': 9})
    found = resources_obj.ResourceUsage.get_by_host(
        context.new(), fixtures.HOST, OTHER)
    assert found.compute_node.damaged_fields() == []
