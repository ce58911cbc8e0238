"""Rows that do not fit: refused when they are written, and shown as damaged
if something else has written them.
"""

import pytest

from computed import context
from computed import exception
from computed.cmd.manage import hosts
from computed.cmd.manage import instances
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj
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
        'compute_node.hypervisor_type', 'hypervisor_type')}


@pytest.mark.parametrize('table, column, value', DAMAGE)
def test_a_damaged_row_is_shown_and_spoils_no_list(
        registered, pair, table, column, value):
    pair.sql(pair.primary, "INSERT INTO hosts VALUES ('h2', 1, '2026-01-01 "
             "00:00:00.000000')")
    pair.sql(pair.primary, f'UPDATE {table} SET {column} = ?', value)
    name, cell = DAMAGE[table, column, value]
    try:
        one, two = [hosts.describe_fully(found, 60) for found in
                    host_obj.HostList.get_all(context.new())]
        assert one['damaged'].machine_readable() == [name]
        assert one[cell].human_readable() == 'damaged'
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
