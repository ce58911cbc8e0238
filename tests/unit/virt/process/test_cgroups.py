import pytest

from computed.virt.process import cgroups
from computed.virt.process import folder

GUEST = '6d1e3a52-5d0f-4b7e-9f0e-0c8a4b1f7a11'
MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup \
rw,memory
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""


def mount(version=2, path='/sys/fs/cgroup', root='/'):
    return cgroups.Mount(path, root, version, frozenset())


def test_hierarchies_of_both_versions_are_found():
    found = cgroups.parse_mounts(MOUNTS)
    assert [(one.path.rpartition('/')[2], one.root, one.version)
            for one in found] == [
                ('memory', '/', 1), ('cpu', '/', 1), ('unified', '/', 2)]
    assert {'cpu', 'cpuacct'} < found[1].names


def test_our_own_groups_are_known_by_controller():
    assert cgroups.parse_own('4:memory:/a\n1:cpu,cpuacct:/\n0::/b:c\n') == {
        'memory': '/a', 'cpu': '/', 'cpuacct': '/', '': '/b:c'}


@pytest.mark.parametrize('one, own, root, expected', [
    # root: a group with processes has no controllers for its children
    (mount(), '/system.slice/computed.service', True,
     ['', '/system.slice/computed.service']),
    (mount(), '/user.slice/app.slice/computed.service', False,
     ['/user.slice/app.slice', '/user.slice/app.slice/computed.service']),
    (mount(), '/', False, ['']),
    # a container without a namespace for groups
    (mount(root='/docker/1'), '/docker/1', True, ['', '']),
    (mount(root='/docker/1'), '/elsewhere', False, []),
    # the limits of our own group hold for guests too
    (mount(version=1), '/system.slice', True, ['/system.slice', ''])])
def test_groups_of_guests_are_made_where_they_can_have_controllers(
        one, own, root, expected):
    assert cgroups.places(one, own, root) == [
        f'/sys/fs/cgroup{path}' for path in expected]


@pytest.mark.parametrize('version, controller, value, expected', [
    (2, 'memory', 64, [('memory.max', '64')]),
    (1, 'memory', 64, [('memory.limit_in_bytes', '64')]),
    (2, 'pids', 9, [('pids.max', '9')]),
    (1, 'pids', 9, [('pids.max', '9')]),
    (2, 'cpu', 2, [('cpu.max', '200000 100000')]),
    (1, 'cpu', 2, [('cpu.cfs_period_us', '100000'),
                   ('cpu.cfs_quota_us', '200000')])])
def test_a_limit_is_written_as_its_version_has_it(
        version, controller, value, expected):
    assert cgroups.settings(version, controller, value) == expected


def test_a_guest_gets_its_limits_in_each_hierarchy(tmp_path):
    guest = folder.Folder('/instances', GUEST)
    hierarchies = []
    for version, controllers in ((2, {'pids', 'cpu'}), (1, {'memory'})):
        path = tmp_path / str(version)
        path.mkdir()
        hierarchies.append(cgroups.Hierarchy(
            str(path), version, frozenset(controllers)))
    for path in cgroups.paths_of(guest, hierarchies):
        (tmp_path / path).mkdir()
        for name in ('pids.max', 'cpu.max', 'memory.limit_in_bytes'):
            (tmp_path / path / name).touch()
    two, one = cgroups.prepare(
        guest, hierarchies, cgroups.Limits(memory=64, pids=9, cpu=0))
    assert (tmp_path / two / 'pids.max').read_text() == '9'
    assert (tmp_path / two / 'cpu.max').read_text() == ''
    assert (tmp_path / one / 'memory.limit_in_bytes').read_text() == '64'
    (tmp_path / two / 'pids.max').unlink()
    with pytest.raises(OSError, match='pids.max'):
        cgroups.prepare(guest, hierarchies,
                        cgroups.Limits(memory=0, pids=9, cpu=0))


def test_two_hosts_on_one_machine_have_groups_of_their_own():
    one, two = (cgroups.paths_of(
        folder.Folder(root, GUEST),
        [cgroups.Hierarchy('/g', 2, frozenset())])[0]
        for root in ('/a', '/b'))
    assert one.startswith(f'/g/{GUEST}-')
    assert one != two


def test_groups_that_are_gone_have_no_members(tmp_path):
    gone = [str(tmp_path / 'gone')]
    assert cgroups.members(gone) == set()
    cgroups.kill(gone)
    cgroups.remove(gone)
