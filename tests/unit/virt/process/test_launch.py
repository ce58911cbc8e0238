import collections
import uuid

import pytest

from computed.virt import driver
from computed.virt.process import folder
from computed.virt.process import launch

GUEST = '6d1e3a52-5d0f-4b7e-9f0e-0c8a4b1f7a11'


def request(environ=(), **changed):
    spec = driver.InstanceSpec(**{
        'uuid': GUEST, 'name': 'guest', 'command': 'true', 'vcpus': 1,
        'memory_mb': 64, 'disk_gb': 1, 'network': 'host', **changed})
    return launch.request(
        folder.Folder('/instances', GUEST),
        folder.Record(spec=spec, owner=None, interface=None),
        dict(environ), {0, 1})


@pytest.mark.parametrize('count', [0, 4, 5])
def test_a_guest_that_may_use_all_cpus_is_not_bound(count):
    assert launch.choose_cpus({0, 1, 2, 3}, count, GUEST) == []


@pytest.mark.parametrize('count', [1, 2, 3])
def test_a_guest_gets_as_many_cpus_as_it_has(count):
    chosen = launch.choose_cpus({1, 3, 5, 7}, count, GUEST)
    assert len(set(chosen)) == count
    assert set(chosen) < {1, 3, 5, 7}
    assert chosen == launch.choose_cpus({1, 3, 5, 7}, count, GUEST)


def test_guests_are_spread_over_all_cpus():
    used = collections.Counter(
        launch.choose_cpus({0, 1, 2, 3}, 1, str(uuid.UUID(int=number)))[0]
        for number in range(100))
    assert used == {0: 25, 1: 25, 2: 25, 3: 25}


def test_only_listed_variables_of_the_environment_are_passed_on():
    assert request({'PATH': '/bin', 'PASSWORD': 'secret'})['environment'] == {
        'PATH': '/bin', 'COMPUTED_INSTANCE': GUEST,
        'COMPUTED_FOLDER': f'/instances/{GUEST}'}


@pytest.mark.parametrize('memory_mb, expected', [(64, 64 << 20), (0, 0)])
def test_memory_is_limited_unless_it_is_0(memory_mb, expected):
    assert request(memory_mb=memory_mb)['memory_bytes'] == expected


def test_a_private_network_without_interface_needs_no_commands():
    assert request(network='host')['network'] is None
    assert request(network='private')['network'] == {
        'host_commands': [], 'guest_commands': []}


@pytest.mark.parametrize('command', [
    'sleep 1000', 'python3 -c "a; b"', 'server > out 2>&1',
    "echo 'a && b'"])
def test_a_simple_command_replaces_the_shell(command):
    assert launch.shell_line(command) == f'exec {command}'


@pytest.mark.parametrize('command', [
    'echo hello; sleep 1000', 'a && b', 'a | b', 'a & wait', 'a\nb',
    'while :; do sleep 1; done', 'trap "" TERM', '(a)', 'X=1 a', 'cd /tmp',
    'echo "unbalanced', ''])
def test_any_other_command_is_left_to_the_shell(command):
    assert launch.shell_line(command) == command
