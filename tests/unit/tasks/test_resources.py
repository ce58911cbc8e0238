"""What is recorded of a host, and when: by values alone."""

import dataclasses

import pytest
from oslo_config import cfg

from computed import conf as computed_conf
from computed.objects import host as host_obj
from computed.objects import resources as resources_obj
from computed.tasks import resources
from computed.virt import driver

HAS = driver.HostResources(
    hypervisor_type='memory', hypervisor_version='1', vcpus=8,
    memory_mb=16000, memory_mb_available=8000, disk_gb=100, disk_gb_free=50)
USAGE = resources_obj.ResourceUsage(
    vcpus_used=3, memory_mb_used=700, disk_gb_used=20, vcpus_claimed=1,
    memory_mb_claimed=100, disk_gb_claimed=0)


def composed(text='', **has):
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    conf([], default_config_files=[])
    for name, value in (pair.split('=') for pair in text.split()):
        conf.set_override(name, value, 'compute')
    return resources.compose(dataclasses.replace(HAS, **has), USAGE,
                             conf.compute)


def recorded(**values):
    return host_obj.ComputeNode(**{**composed(), **values})


def test_everything_is_recorded_under_its_own_name():
    assert composed() == {
        'hypervisor_type': 'memory', 'hypervisor_version': '1',
        'vcpus': 8, 'vcpus_reserved': 0, 'vcpus_allocation_ratio': 4.0,
        'vcpus_used': 3, 'vcpus_claimed': 1,
        'memory_mb': 16000, 'memory_mb_reserved': 512,
        'memory_mb_allocation_ratio': 1.0, 'memory_mb_used': 700,
        'memory_mb_claimed': 100, 'memory_mb_available': 8000,
        'disk_gb': 100, 'disk_gb_reserved': 0,
        'disk_gb_allocation_ratio': 1.0, 'disk_gb_used': 20,
        'disk_gb_claimed': 0, 'disk_gb_free': 50}


def test_each_option_reaches_its_class():
    found = composed(
        'reserved_host_cpus=1 reserved_host_memory_mb=2 '
        'cpu_allocation_ratio=3.5 ram_allocation_ratio=4.5 '
        'disk_allocation_ratio=5.5')
    assert [found[name] for name in (
        'vcpus_reserved', 'memory_mb_reserved', 'vcpus_allocation_ratio',
        'memory_mb_allocation_ratio', 'disk_gb_allocation_ratio')] == [
            1, 2, 3.5, 4.5, 5.5]


@pytest.mark.parametrize('mib, gib', [
    (0, 0), (1, 1), (1024, 1), (1025, 2)])
def test_reserved_disk_is_rounded_up(mib, gib):
    assert composed(f'reserved_host_disk_mb={mib}')['disk_gb_reserved'] == gib


@pytest.mark.parametrize('total, reserved, ratio, used, capacity, free', [
    (8, 0, 4.0, 3, 32, 29),
    (8, 1, 4.0, 3, 28, 25),
    (7, 0, 1.5, 0, 10, 10),         # rounded down
    (8, 0, 0.5, 0, 4, 4),
    (8, 0, 1.0, 9, 8, -1),          # overcommitted
    (8, 8, 4.0, 0, 0, 0),
    (8, 9, 4.0, 2, 0, -2),          # more reserved than there is
])
def test_the_arithmetic(total, reserved, ratio, used, capacity, free):
    node = recorded(vcpus=total, vcpus_reserved=reserved,
                    vcpus_allocation_ratio=ratio, vcpus_used=used)
    found = resources_obj.inventory(node, 'vcpus')
    assert (found.capacity, found.free) == (capacity, free)


def test_a_class_of_which_there_is_nothing_is_left_out():
    assert resources_obj.inventory(recorded(disk_gb=0), 'disk_gb') is None


def test_what_nobody_said_yet_is_not_taken_for_nothing():
    node = recorded(vcpus_used=None)
    assert resources_obj.inventory(node, 'vcpus') is None


def test_what_is_recorded_already_is_not_written():
    assert resources.changed(recorded(), composed(), 0) == []
    assert resources.changed(recorded(), composed(), 10 ** 9) == []


def test_without_a_record_all_is_written():
    assert resources.changed(None, composed(), None) == sorted(composed())


@pytest.mark.parametrize('name', sorted(composed()))
def test_every_value_but_a_measured_one_is_written_on_any_change(name):
    value = composed()[name]
    other = f'{value}x' if isinstance(value, str) else value + 1
    found = resources.changed(recorded(**{name: other}), composed(), 0)
    assert found == ([] if name in resources.MEASURED else [name])


@pytest.mark.parametrize('name, value, age, written', [
    ('memory_mb_available', 8799, 599, False),
    ('memory_mb_available', 7201, 599, False),
    ('memory_mb_available', 8800, 0, True),     # 5 % of the total
    ('memory_mb_available', 7200, 0, True),
    ('memory_mb_available', 8001, 600, True),   # old
    ('disk_gb_free', 54, 599, False),
    ('disk_gb_free', 55, 0, True),
    ('disk_gb_free', 51, 600, True),
])
def test_measured_figures_are_written_if_they_moved_or_are_old(
        name, value, age, written):
    found = resources.changed(recorded(), composed(**{name: value}), age)
    assert found == ([name] if written else [])


def test_small_moves_add_up():
    """Compared with the record, not with the last look."""
    node, writes = recorded(), 0
    for available in range(8000, 12001, 40):
        values = composed(memory_mb_available=available)
        if resources.changed(node, values, 0):
            writes += 1
            node = host_obj.ComputeNode(**values)
    assert writes == 5


def test_a_figure_never_measured_before_is_written():
    node = recorded(disk_gb_free=None)
    assert resources.changed(node, composed(), 0) == ['disk_gb_free']


def test_with_any_other_change_the_measured_ones_are_written_too():
    assert resources.changed(
        recorded(vcpus_used=4), composed(disk_gb_free=51), 0) == [
            'disk_gb_free', 'vcpus_used']
