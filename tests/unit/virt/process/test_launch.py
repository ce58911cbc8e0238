import collections
import uuid

import pytest

from computed import exception
from computed.virt import driver
from computed.virt.process import cgroups
from computed.virt.process import folder
from computed.virt.process import isolation
from computed.virt.process import launch

GUEST = '6d1e3a52-5d0f-4b7e-9f0e-0c8a4b1f7a11'


PIDS = (cgroups.Hierarchy('/g', 2, frozenset(['pids'])),)
UIDS = range(1000, 2000)


def spec(**changed):
    return driver.InstanceSpec(**{
        'uuid': GUEST, 'name': 'guest', 'command': 'true', 'vcpus': 1,
        'memory_mb': 64, 'disk_gb': 1, 'network': 'host', **changed})


def settings(require_limits=False, **changed):
    return launch.Settings(
        isolation=isolation.Isolation(**{'uids': None, **changed}),
        hidden=('/state',), processes_per_vcpu=10,
        require_limits=require_limits)


def request(environ=(), uid=None, given=None, **changed):
    return launch.request(
        folder.Folder('/instances', GUEST),
        folder.Record(spec=spec(**changed), owner=None, interface=None,
                      uid=uid),
        dict(environ), {0, 1}, given or settings())


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


@pytest.mark.parametrize('uid, given', [
    (1234, settings(uids=UIDS)), (None, settings(mount_namespace=True))])
def test_the_home_of_a_guest_that_is_shut_in_is_its_disk(uid, given):
    found = request({'HOME': '/root', 'USER': 'root'}, uid, given)
    assert found['environment']['HOME'] == f'/instances/{GUEST}/disk'
    assert 'USER' not in found['environment']
    assert found['isolation']['uid'] == uid
    assert found['hidden'] == ['/state']
    assert request({'HOME': '/h', 'USER': 'u'})['environment'].items() >= {
        'HOME': '/h', 'USER': 'u'}.items()


def test_a_guest_with_a_user_of_its_own_gets_a_path_that_it_may_search():
    found = request({'PATH': '/private/bin'}, 1234, settings(uids=UIDS))
    assert found['environment']['PATH'].split(':')[-2:] == ['/sbin', '/bin']
    assert '/private' not in found['environment']['PATH']


def test_a_guest_that_runs_as_root_by_option_has_no_user_of_its_own():
    given = settings(uids=None, unprivileged=False)
    assert request(uid=1234, given=given)['isolation']['uid'] is None


@pytest.mark.parametrize('uid, hierarchies, expected', [
    (1234, (), 20), (1234, PIDS, 0), (None, (), 0)])
def test_processes_are_counted_by_user_only_where_no_group_counts_them(
        uid, hierarchies, expected):
    given = settings(uids=uid and UIDS, hierarchies=hierarchies)
    assert request(uid=uid, given=given, vcpus=2)['processes'] == expected


@pytest.mark.parametrize('vcpus, expected', [(0, 0), (1, 1), (2, 0), (3, 0)])
def test_processors_are_limited_if_the_host_has_more(vcpus, expected):
    assert launch.limits(spec(vcpus=vcpus), settings(), 2).cpu == expected


def test_limits_that_are_not_kept_are_named():
    found = launch.not_kept(spec(), settings())
    for word in ('64 MiB of memory', 'number of processes', '1 processors',
                 '1 GiB of disk'):
        assert any(word in one for one in found)
    everything = settings(uids=UIDS, hierarchies=(cgroups.Hierarchy(
        '/g', 2, frozenset(cgroups.CONTROLLERS)),))
    assert launch.not_kept(spec(disk_gb=0), everything) == []
    assert launch.not_kept(spec(disk_gb=0, memory_mb=0, vcpus=0),
                           settings(uids=UIDS)) == []


def test_a_guest_is_refused_if_its_limits_are_required_and_not_kept():
    launch.check(spec(), settings())
    with pytest.raises(exception.NotSupported, match='1 GiB of disk'):
        launch.check(spec(), settings(require_limits=True))
    with pytest.raises(exception.NotSupported, match='never'):
        launch.check(spec(), settings(refusal='never'))


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
