"""Write the files of a running guest again that somebody removed.

A file that is missing does not show that the guest is absent.
"""

import contextlib
from collections import abc

from oslo_log import log as logging

from computed import exception
from computed.virt.process import folder
from computed.virt.process import marks
from computed.virt.process import proc
from computed.virt.process import state

LOG = logging.getLogger(__name__)


def adopt(root: str, uuids: abc.Container[str] | None = None) -> set[str]:
    """Search for running guests, and write the files that they lack.

    :param root: the folder of the guests' folders
    :param uuids: the guests to search for; None: all
    :returns: the guests that were adopted
    """
    adopted = set()
    for uuid, found in marks.search(root).items():
        if uuids is None or uuid in uuids:
            try:
                if _adopt(folder.Folder(root, uuid), found):
                    adopted.add(uuid)
            except (exception.DriverError, OSError) as error:
                LOG.warning('Guest %s runs without its files, and they '
                            'cannot be written: %s', uuid, error)
    return adopted


def _adopt(guest: folder.Folder, found: marks.Found) -> bool:
    """Write what the guest lacks; return whether it lacked something."""
    lacking = []
    if not guest.has('spec.json'):
        if found.record is None:
            LOG.warning('Guest %s runs without its files, and its shim was '
                        'killed, so nobody knows what it is. Delete its '
                        'instance to end it.', guest.uuid)
            return False
        lacking.append('spec.json' if guest.exists() else 'folder')
        if guest.exists():
            guest.restore_record(found.record)
        else:
            guest.create(found.record)
    if not _is_known(guest, found.run):
        lacking.append('run.json')
        guest.restore_run(found.run)
    if not lacking:
        return False
    if not proc.alive(found.run.main) and 'folder' in lacking:
        guest.remove()      # it was deleted meanwhile
        return False
    LOG.warning('Guest %s runs as process %d without its %s. It is adopted '
                'again.', guest.uuid, found.run.main.pid,
                ' and '.join(lacking))
    return True


def _is_known(guest: folder.Folder, run: state.Run) -> bool:
    with contextlib.suppress(exception.DriverError):
        if known := guest.run():
            if run.shim != proc.NOBODY:
                return known.identity == run.identity
            # Without a shim nobody knows whether the oldest process is the
            # main one. The record of this boot knows.
            return known.boot_id == run.boot_id
    return False
