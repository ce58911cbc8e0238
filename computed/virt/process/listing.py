"""List the guests whose folders are in one folder, ``root``."""

import contextlib
import os
import shutil

from computed import files
from computed.virt.process import folder


def uuids(root: str) -> list[str]:
    """Return the uuids of the folders below ``root``; links do not count.

    :raises OSError: ``root`` cannot be read
    """
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries
                      if files.is_uuid(entry.name)
                      and entry.is_dir(follow_symlinks=False))


def users(root: str) -> set[int]:
    """Return the owners of all disks of guests below ``root``.

    :raises OSError: ``root`` cannot be read
    """
    found = set()
    for uuid in uuids(root):
        with contextlib.suppress(OSError):
            found.add(os.lstat(folder.Folder(root, uuid)['disk']).st_uid)
    return found


def clear_leftovers(root: str) -> None:
    """Remove what an earlier daemon did not finish making or removing.

    :raises OSError: something cannot be removed
    """
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries
                 if entry.is_dir(follow_symlinks=False)]
    for name in names:
        uuid, suffix = os.path.splitext(name)
        if files.is_uuid(uuid) and suffix in (folder.NEW, folder.DELETING):
            shutil.rmtree(files.below(root, name))
