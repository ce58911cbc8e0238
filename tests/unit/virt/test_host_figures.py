import pytest

from computed.virt import host_figures

GIB = 1 << 30

MEMINFO = """\
MemTotal:       24683520 kB
MemFree:        10000000 kB
MemAvailable:   21534720 kB
"""

V2_MOUNTS = ('30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - '
             'cgroup2 cgroup2 rw,nsdelegate\n')
V1_MOUNTS = (
    '22 20 0:20 / /proc rw - proc proc rw\n'
    '31 30 0:27 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n'
    '32 30 0:28 / /cg/memory rw shared:9 - cgroup cgroup rw,memory\n'
    '33 30 0:29 / /cg/unified rw - cgroup2 cgroup2 rw\n')


def test_version_2_has_limits_from_our_group_to_the_root():
    assert host_figures.parse_groups('0::/a.slice/b.service\n', V2_MOUNTS) \
        == {'': ['/sys/fs/cgroup/a.slice/b.service',
                 '/sys/fs/cgroup/a.slice', '/sys/fs/cgroup']}


def test_version_1_has_a_folder_for_each_controller():
    groups = host_figures.parse_groups(
        '4:memory:/m\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/\n', V1_MOUNTS)
    assert groups['cpu'] == ['/cg/cpu,cpuacct']
    assert groups['memory'] == ['/cg/memory/m', '/cg/memory']
    assert groups[''] == ['/cg/unified']


def test_a_container_sees_its_own_part_of_the_hierarchy_as_the_root():
    mounts = ('31 30 0:28 /docker/abc /sys/fs/cgroup/memory ro - '
              'cgroup cgroup rw,memory\n')
    assert host_figures.parse_groups('4:memory:/docker/abc\n', mounts) == {
        'memory': ['/sys/fs/cgroup/memory']}


def test_a_host_without_control_groups_has_no_limits():
    groups = host_figures.parse_groups('', '')
    assert host_figures.cpu_limit(groups, {}.get) is None
    assert host_figures.memory_limit(groups, {}.get) is None


@pytest.mark.parametrize('files, limit', [
    ({}, None),
    ({'/in/cpu.max': 'max 100000\n'}, None),
    ({'/in/cpu.max': '150000 100000\n'}, 1.5),
    ({'/in/cpu.max': '400000 100000', '/cpu.max': '200000 100000'}, 2.0)])
def test_the_tightest_cpu_quota_of_version_2_applies(files, limit):
    assert host_figures.cpu_limit({'': ['/in', '']}, files.get) == limit


@pytest.mark.parametrize('quota, limit', [('-1\n', None), ('50000\n', 0.5)])
def test_the_cpu_quota_of_version_1_applies(quota, limit):
    files = {'/c/cpu.cfs_quota_us': quota,
             '/c/cpu.cfs_period_us': '100000\n'}
    assert host_figures.cpu_limit({'cpu': ['/c']}, files.get) == limit


@pytest.mark.parametrize('limit, expected', [
    (None, 8), (0.5, 1), (2.9, 2), (16, 8)])
def test_cpus_are_whole_and_at_least_one(limit, expected):
    assert host_figures.cpus(8, limit) == expected


@pytest.mark.parametrize('files, limit', [
    ({'/m/memory.max': 'max\n'}, None),
    ({'/m/memory.max': f'{2 * GIB}\n'}, (2 * GIB, 0)),
    ({'/m/memory.max': f'{2 * GIB}', '/m/memory.current': f'{GIB}',
      '/m/memory.stat': f'anon 7\ninactive_file {GIB // 4}\n'},
     (2 * GIB, GIB - GIB // 4))])
def test_the_memory_limit_of_version_2_applies(files, limit):
    assert host_figures.memory_limit({'': ['/m']}, files.get) == limit


@pytest.mark.parametrize('text, limit', [
    ('9223372036854771712\n', None), (f'{GIB}\n', (GIB, GIB // 2))])
def test_the_memory_limit_of_version_1_applies(text, limit):
    files = {'/m/memory.limit_in_bytes': text,
             '/m/memory.usage_in_bytes': f'{GIB // 2}\n'}
    assert host_figures.memory_limit({'memory': ['/m']}, files.get) == limit


def test_memory_comes_from_one_source():
    assert host_figures.memory_mb(MEMINFO, None) == (24105, 21030)


def test_memory_is_capped_by_the_limit():
    assert host_figures.memory_mb(MEMINFO, (2 * GIB, GIB)) == (2048, 1024)
    assert host_figures.memory_mb(MEMINFO, (GIB, 2 * GIB)) == (1024, 0)
    assert host_figures.memory_mb(MEMINFO, (1 << 50, 0)) == (24105, 21030)
