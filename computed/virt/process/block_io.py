"""What a guest has read and written of a block device, by its control group.

The kernel counts for each whole device. So of a file, which shares its device
with other files, and of a partition nothing is known.
"""

import contextlib
import os
import stat
import typing
from collections import abc

from computed.virt.process import cgroups
from computed.virt.process import folder
from computed.virt.process import proc

NAMES = ('rd_req', 'rd_bytes', 'wr_req', 'wr_bytes')
_FIELDS = {'rios': 'rd_req', 'rbytes': 'rd_bytes', 'wios': 'wr_req',
           'wbytes': 'wr_bytes'}


def counted(hierarchies: abc.Iterable[cgroups.Hierarchy]) -> bool:
    """Return whether this host counts what guests read and write."""
    return any('io' in one.controllers for one in hierarchies)


def read(guest: folder.Folder, identity: abc.Sequence[int],
         hierarchies: abc.Sequence[cgroups.Hierarchy],
         ) -> dict[str, typing.Any] | None:
    """Return the counters of a device by name, and their ``epoch``.

    None if they cannot be told of this device alone.

    :param identity: see :func:`computed.virt.process.shim.volumes.identity`
    """
    kind, device, _ = identity
    number = f'{os.major(device)}:{os.minor(device)}'
    if kind != stat.S_IFBLK or os.path.exists(
            f'/sys/dev/block/{number}/partition'):
        return None
    paths = cgroups.paths_of(guest, hierarchies)
    for path, one in zip(paths, hierarchies, strict=True):
        if 'io' in one.controllers:
            with contextlib.suppress(FileNotFoundError):
                # The counters live as long as this folder.
                epoch = f'{proc.boot_id()}/{os.stat(path).st_ino}'
                with open(f'{path}/io.stat', encoding='ascii') as file:
                    found = parse(file.read(), number)
                return {**dict.fromkeys(NAMES, 0), **found, 'epoch': epoch}
            # The group is made when the guest starts.
            return {**dict.fromkeys(NAMES, 0), 'epoch': ''}
    return None


def since(base: dict[str, typing.Any] | None, now: dict[str, typing.Any]
          ) -> dict[str, int]:
    """Return what was counted since ``base``, by name. Pure."""
    if base is None or base['epoch'] != now['epoch']:
        base = dict.fromkeys(NAMES, 0)
    return {name: now[name] - base[name] for name in NAMES}


def parse(text: str, number: str) -> dict[str, int]:
    """Return the counters of one device from the text of ``io.stat``."""
    for line in text.splitlines():
        found, *pairs = line.split()
        if found == number:
            values = dict(pair.split('=', 1) for pair in pairs)
            return {ours: int(values[name]) for name, ours in _FIELDS.items()
                    if name in values}
    return {}
