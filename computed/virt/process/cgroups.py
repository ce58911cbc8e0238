"""Control groups: limits of guests, and a way to end all their processes.

The host may have version 2, version 1 or both, and the daemon may be allowed
to use some of it or nothing. A guest has one folder in each hierarchy that
is used. A process cannot leave it, whatever it does to its environment.
"""

import contextlib
import dataclasses
import hashlib
import os
import typing
from collections import abc

from computed import files
from computed.virt.process import folder

LIMITED = ('memory', 'pids', 'cpu')
# "io" limits nothing here; it counts. Version 1 has no such name, and cannot
# count what a guest writes: the kernel writes most of that later, for itself.
CONTROLLERS = (*LIMITED, 'io')
_PARENT = 'computed'
_PERIOD_US = 100_000


class Hierarchy(typing.NamedTuple):
    """A folder for the folders of guests, and the controllers it has.

    :ivar version: 1 or 2
    """

    path: str
    version: int
    controllers: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a guest may use; 0: no limit.

    :ivar memory: bytes
    :ivar pids: processes and threads
    :ivar cpu: processors
    """

    memory: int
    pids: int
    cpu: int


def settings(version: int, controller: str,
             value: int) -> list[tuple[str, str]]:
    """Return the files to write for one limit, in order. Pure.

    :param value: not 0
    """
    if controller == 'memory':
        return [('memory.max' if version == 2 else 'memory.limit_in_bytes',
                 str(value))]
    if controller == 'pids':
        return [('pids.max', str(value))]
    quota = str(value * _PERIOD_US)
    if version == 2:
        return [('cpu.max', f'{quota} {_PERIOD_US}')]
    return [('cpu.cfs_period_us', str(_PERIOD_US)),
            ('cpu.cfs_quota_us', quota)]


class Mount(typing.NamedTuple):
    """A mounted hierarchy.

    :ivar root: the group that is mounted
    :ivar names: the controllers of a hierarchy of version 1
    """

    path: str
    root: str
    version: int
    names: frozenset[str]


def parse_mounts(text: str) -> list[Mount]:
    """Return the hierarchies in the text of ``/proc/self/mountinfo``."""
    found = []
    for line in text.splitlines():
        fields, _, rest = line.partition(' - ')
        root, path = fields.split()[3:5]
        kind, _, options = rest.split(' ', 2)
        if kind in ('cgroup', 'cgroup2'):
            found.append(Mount(path, root, 2 if kind == 'cgroup2' else 1,
                               frozenset(options.split(','))))
    return found


def parse_own(text: str) -> dict[str, str]:
    """Return our groups, by controller, from ``/proc/self/cgroup``.

    The group of version 2 has the key ''.
    """
    found = {}
    for line in text.splitlines():
        _, names, path = line.split(':', 2)
        for name in names.split(','):
            found[name] = path
    return found


def places(mount: Mount, own: str, root: bool) -> list[str]:
    """Return where the folder of our guests may be, the best first. Pure.

    A group of version 2 with processes has no controllers for its children.
    So root uses the top of the hierarchy, and others the parent of their own
    group. Version 1 has no such rule: there the limits of our own group are
    to hold for our guests too.

    :param own: our own group
    """
    relative = os.path.relpath(own, mount.root)
    inside = [] if relative.startswith('..') else [
        os.path.normpath(f'{mount.path}/{relative}')]
    if mount.version == 1:
        return [*inside, mount.path]
    if root:
        return [mount.path, *inside]
    return [*(os.path.dirname(path) for path in inside
              if path != mount.path), *inside]


def find() -> tuple[Hierarchy, ...]:
    """Return the hierarchies that we can use; make our folders in them."""
    try:
        with open('/proc/self/mountinfo', encoding='utf-8') as file:
            mounts = parse_mounts(file.read())
        with open('/proc/self/cgroup', encoding='utf-8') as file:
            own = parse_own(file.read())
    except OSError:
        return ()
    found: list[Hierarchy] = []
    left = set(CONTROLLERS)
    for mount in sorted(mounts, key=lambda one: -one.version):
        names = {''} if mount.version == 2 else mount.names & left
        for name in names:
            for place in places(mount, own.get(name, '/'),
                                os.geteuid() == 0):
                if one := _made(place, mount.version, left & (
                        left if mount.version == 2 else {name})):
                    found.append(one)
                    left -= one.controllers
                    break
    return tuple(found)


def _made(place: str, version: int, wanted: set[str]) -> Hierarchy | None:
    """Make our folder in ``place``; None if it is of no use."""
    path = files.below(place, _PARENT)
    try:
        _make(path)
        if version == 2:
            for parent in (place, path):
                for name in wanted:
                    with contextlib.suppress(OSError):
                        _write(parent, 'cgroup.subtree_control', f'+{name}')
            with open(f'{path}/cgroup.subtree_control') as file:
                wanted = wanted & set(file.read().split())
        trial = files.below(path, f'trial-{os.getpid()}')
        _make(trial)
    except OSError:
        return None
    try:
        usable = version == 2 or all(
            os.access(files.below(trial, settings(1, name, 1)[0][0]),
                      os.W_OK) for name in wanted)
        usable = usable and os.access(f'{trial}/cgroup.procs', os.W_OK)
    finally:
        os.rmdir(trial)
    return Hierarchy(path, version, frozenset(wanted)) if usable else None


def paths_of(guest: folder.Folder,
             hierarchies: abc.Iterable[Hierarchy]) -> list[str]:
    """Return the folders of a guest in the hierarchies.

    Two hosts on one machine may have the same uuid, so their name tells the
    folder of the guest too.
    """
    digest = hashlib.sha256(guest.path.encode()).hexdigest()[:12]
    return [files.below(one.path, f'{guest.uuid}-{digest}')
            for one in hierarchies]


def prepare(guest: folder.Folder, hierarchies: abc.Sequence[Hierarchy],
            limits: Limits) -> list[str]:
    """Make the folders of a guest with its limits, and return them.

    :raises OSError: a limit cannot be set
    """
    paths = paths_of(guest, hierarchies)
    for path, one in zip(paths, hierarchies, strict=True):
        _make(path)
        for controller in one.controllers & {*LIMITED}:
            if value := getattr(limits, controller):
                for name, text in settings(one.version, controller, value):
                    _write(path, name, text)
    return paths


def members(paths: abc.Iterable[str]) -> set[int]:
    """Return the processes in these groups."""
    found: set[int] = set()
    for path in paths:
        with contextlib.suppress(OSError):
            with open(f'{path}/cgroup.procs', encoding='ascii') as file:
                # 0: a process that our process namespace lacks
                found.update(int(line) for line in file if int(line))
    return found


def kill(paths: abc.Iterable[str]) -> None:
    """End all processes of these groups at once, where the kernel can."""
    for path in paths:
        with contextlib.suppress(OSError):
            _write(path, 'cgroup.kill', '1')


def remove(paths: abc.Iterable[str]) -> None:
    """Remove groups; those that the kernel still needs stay.

    The next start of the guest uses a folder that stayed.
    """
    for path in paths:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _make(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, mode=0o755)


def _write(path: str, name: str, text: str) -> None:
    # Without O_CREAT: a file that the kernel does not have is an error.
    descriptor = os.open(files.below(path, name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
