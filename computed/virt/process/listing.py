"""List the guests whose folders are in one folder, ``root``."""

import contextlib
import os
import shutil

from oslo_log import log as logging

from computed import clock
from computed import files
from computed.virt.process import folder

LOG = logging.getLogger(__name__)


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

    What cannot be removed stays, and the log names it.

    :raises OSError: ``root`` cannot be read
    """
    for name in _unfinished(root):
        try:
            shutil.rmtree(files.below(root, name))
        except OSError as error:
            LOG.warning('What is left of a guest cannot be removed: %s',
                        error)


def leftovers(root: str) -> dict[str, float]:
    """Return the guests without a folder of which something is left.

    :returns: ``{uuid: seconds since it changed last}``
    :raises OSError: ``root`` cannot be read
    """
    now, guests = clock.time(), {*uuids(root)}
    found: dict[str, float] = {}
    for name in _unfinished(root):
        uuid, _ = os.path.splitext(name)
        with contextlib.suppress(FileNotFoundError):
            if uuid not in guests:
                age = now - os.lstat(files.below(root, name)).st_mtime
                found[uuid] = min(age, found.get(uuid, age))
    return found


def _unfinished(root: str) -> list[str]:
    """Return the names of folders that are half made or half removed."""
    with os.scandir(root) as entries:
        names = [os.path.splitext(entry.name) for entry in entries
                 if entry.is_dir(follow_symlinks=False)]
    return [uuid + suffix for uuid, suffix in names
            if files.is_uuid(uuid) and
            suffix in (folder.NEW, folder.DELETING)]
