"""What this host has: CPUs, memory, disk, from /proc, cgroups and statvfs.

Within a container the kernel shows the whole machine; the control groups
say how much of it is ours.
"""

import os

_GIB = 1 << 30
_MIB = 1 << 20
# cgroup v1 writes "no limit" as a number near 2^63.
_NO_LIMIT = 1 << 62


def measure(path):
    """The figures of this host, named as in ``driver.HostResources``.

    :param path: on the file system that instances are kept on
    :raises OSError: something could not be read
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
        # f_bfree counts what is reserved for root and not for us, too.
        'disk_gb_free': disk.f_bavail * disk.f_frsize // _GIB}


def _text(path):
    """What a file says; None if there is none, or not for us."""
    try:
        with open(path, encoding='utf-8') as file:
            return file.read()
    except OSError:
        return None


def parse_groups(cgroup, mountinfo):
    """The folders whose limits hold for us, innermost first.

    :param cgroup: the text of ``/proc/self/cgroup``
    :param mountinfo: the text of ``/proc/self/mountinfo``
    :returns: ``{controller: [folder, ...]}``; version 2 is ``''``
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


def _mounts(mountinfo):
    """``{controller: (what of the hierarchy, where)}``."""
    found = {}
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


def _folders(root, point, path):
    # In a container the mount may show only our own part of the hierarchy.
    inner = path.removeprefix(root) if root != '/' else path
    parts = [part for part in inner.split('/') if part and part != '..']
    return ['/'.join([point, *parts[:depth]])
            for depth in range(len(parts), -1, -1)]


def cpu_limit(groups, read):
    """How many CPUs we may use by quota, a fraction; None without limit.

    :param groups: from :func:`parse_groups`
    :param read: gives the text of a path, or None
    """
    quotas = [_quota(*(read(f'{folder}/cpu.max') or 'max 1').split())
              for folder in groups.get('', ())]
    quotas += [_quota(read(f'{folder}/cpu.cfs_quota_us') or '-1',
                      read(f'{folder}/cpu.cfs_period_us') or '1')
               for folder in groups.get('cpu', ())]
    return min(filter(None, quotas), default=None)


def _quota(quota, period):
    if quota.strip() in ('max', '-1'):
        return None
    return int(quota) / int(period)


def cpus(usable, limit):
    """Whole CPUs, at least one."""
    return usable if limit is None else max(1, min(usable, int(limit)))


def memory_limit(groups, read):
    """The tightest limit: bytes allowed and bytes in use; None without.

    What the kernel would give up first, unused pages of files, does not
    count as in use.
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


def memory_mb(meminfo, limit):
    """Total and available, both from one source, then capped.

    :param limit: from :func:`memory_limit`
    """
    total = _figure(meminfo, 'MemTotal:') * 1024
    available = _figure(meminfo, 'MemAvailable:') * 1024
    if limit is not None:
        allowed, used = limit
        total = min(total, allowed)
        available = min(available, max(0, allowed - used))
    return total // _MIB, available // _MIB


def _figure(text, name):
    for line in text.splitlines():
        fields = line.split()
        if fields and fields[0] == name:
            return int(fields[1])
    return 0
