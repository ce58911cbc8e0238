"""The resources of this host: processors, memory, disk space.

The figures come from /proc, the control groups and statvfs. In a container
the kernel shows the whole machine; the control groups give the part that the
container may use.
"""

import collections.abc
import os

_GIB = 1 << 30
_MIB = 1 << 20
# Version 1 of the control groups writes "no limit" as a number near 2^63.
_NO_LIMIT = 1 << 62

#: Returns the text of a file, or None if it cannot be read.
_Read = collections.abc.Callable[[str], str | None]


def measure(path: str | os.PathLike[str]) -> dict[str, int]:
    """Return the figures, named like those of ``driver.HostResources``.

    :param path: any path on the file system that holds the guests
    :raises OSError: the file system cannot be read
    """
    groups = parse_groups(_text('/proc/self/cgroup') or '',
                          _text('/proc/self/mountinfo') or '')
    total, available = memory_mb(_text('/proc/meminfo') or '',
                                 memory_limit(groups, _text))
    disk = os.statvfs(path)
    return {
        'vcpus': cpus(len(os.sched_getaffinity(0)),
                      cpu_limit(groups, _text)),
        'memory_mb': total,
        'memory_mb_available': available,
        'disk_gb': disk.f_blocks * disk.f_frsize // _GIB,
        # f_bfree would include the space that only root may use.
        'disk_gb_free': disk.f_bavail * disk.f_frsize // _GIB}


def _text(path: str) -> str | None:
    """Return the text of a file; None if it cannot be read."""
    try:
        with open(path, encoding='utf-8') as file:
            return file.read()
    except OSError:
        return None


def parse_groups(cgroup: str, mountinfo: str) -> dict[str, list[str]]:
    """Return this process's control group folders, innermost first.

    :param cgroup: the text of ``/proc/self/cgroup``
    :param mountinfo: the text of ``/proc/self/mountinfo``
    :returns: ``{controller: [folder, ...]}``; the key of version 2 is ``''``
    """
    mounts = _mounts(mountinfo)
    found = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(':', 2)
        for controller in controllers.split(','):
            if controller in mounts:
                root, point = mounts[controller]
                found[controller] = _folders(root, point, path)
    return found


def _mounts(mountinfo: str) -> dict[str, tuple[str, str]]:
    """Return ``{controller: (mounted part of the hierarchy, mount point)}``.
    """
    found: dict[str, tuple[str, str]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(' - ')
        root, point = before.split()[3:5]
        kind, _, options = after.split(None, 2)
        if kind == 'cgroup2':
            found.setdefault('', (root, point))
        elif kind == 'cgroup':
            for controller in options.split(','):
                found.setdefault(controller, (root, point))
    return found


def _folders(root: str, point: str, path: str) -> list[str]:
    # In a container the mount may show only our part of the hierarchy.
    inner = path.removeprefix(root) if root != '/' else path
    parts = [part for part in inner.split('/') if part and part != '..']
    return ['/'.join([point, *parts[:depth]])
            for depth in range(len(parts), -1, -1)]


def cpu_limit(groups: dict[str, list[str]], read: _Read) -> float | None:
    """Return how many CPUs the quota allows; None: there is no limit.

    :param groups: from :func:`parse_groups`
    """
    quotas = [_quota(*(read(f'{folder}/cpu.max') or 'max 1').split())
              for folder in groups.get('', ())]
    quotas += [_quota(read(f'{folder}/cpu.cfs_quota_us') or '-1',
                      read(f'{folder}/cpu.cfs_period_us') or '1')
               for folder in groups.get('cpu', ())]
    return min((quota for quota in quotas if quota), default=None)


def _quota(quota: str, period: str) -> float | None:
    if quota.strip() in ('max', '-1'):
        return None
    return int(quota) / int(period)


def cpus(usable: int, limit: float | None) -> int:
    """Return the number of whole CPUs, at least one."""
    return usable if limit is None else max(1, min(usable, int(limit)))


def memory_limit(groups: dict[str, list[str]],
                 read: _Read) -> tuple[int, int] | None:
    """Return the tightest limit, bytes allowed and bytes used, or None.

    Unused pages of files do not count as used, because the kernel frees them
    first.

    :param groups: from :func:`parse_groups`
    """
    found = []
    for controller, limit, usage, inactive in (
            ('', 'memory.max', 'memory.current', 'inactive_file'),
            ('memory', 'memory.limit_in_bytes', 'memory.usage_in_bytes',
             'total_inactive_file')):
        for folder in groups.get(controller, ()):
            text = (read(f'{folder}/{limit}') or 'max').strip()
            if text != 'max' and int(text) < _NO_LIMIT:
                used = int(read(f'{folder}/{usage}') or 0)
                stat = read(f'{folder}/memory.stat') or ''
                found.append((int(text),
                              max(0, used - _figure(stat, inactive))))
    return min(found, default=None)


def memory_mb(meminfo: str,
              limit: tuple[int, int] | None) -> tuple[int, int]:
    """Return total and available memory in MiB, with the limit applied.

    :param meminfo: the text of ``/proc/meminfo``
    :param limit: from :func:`memory_limit`
    """
    total = _figure(meminfo, 'MemTotal:') * 1024
    available = _figure(meminfo, 'MemAvailable:') * 1024
    if limit is not None:
        allowed, used = limit
        total = min(total, allowed)
        available = min(available, max(0, allowed - used))
    return total // _MIB, available // _MIB


def _figure(text: str, name: str) -> int:
    """Return the number that follows ``name``; 0 if there is none."""
    for line in text.splitlines():
        fields = line.split()
        if fields and fields[0] == name:
            return int(fields[1])
    return 0
