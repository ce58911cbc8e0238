"""The volumes of guests: files and block devices of this host.

``volumes.json`` in the folder of a guest has them. It is written before the
guest gets a volume and after it has lost it. A guest sees a volume as
``volumes/ID`` in its folder, and nothing else of where it is.

As long as a guest with a user of its own has a volume, this user owns it and
nobody else may open it. Its owner and mode before that are kept.
"""

import contextlib
import dataclasses
import json
import os
import stat
import subprocess
import sys
import typing
from collections import abc

from oslo_log import log as logging

from computed import exception
from computed.virt import driver
from computed.virt.process import block_io
from computed.virt.process import cgroups
from computed.virt.process import folder
from computed.virt.process import isolation
from computed.virt.process import listing
from computed.virt.process import proc
from computed.virt.process.shim import volumes as shim_volumes

LOG = logging.getLogger(__name__)

_FILE = 'volumes.json'
# Files of the kernel: a write to one changes the host.
_KERNEL = ('/proc', '/sys')
_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Kept:
    """A volume that a guest has.

    :ivar identity: see :func:`computed.virt.process.shim.volumes.identity`
    :ivar owner: ``[uid, gid, mode]`` before the guest got it
    :ivar base: what its counters were then; see :mod:`.block_io`
    """

    volume_id: str
    attachment_id: str
    path: str
    identity: list[int]
    owner: list[int]
    base: dict[str, typing.Any] | None = None

    def for_shim(self) -> dict[str, typing.Any]:
        """Return it as the shim gets it."""
        return {'volume_id': self.volume_id, 'path': self.path,
                'identity': self.identity}


def of_guest(guest: folder.Folder) -> list[Kept]:
    """Return the volumes of a guest.

    :raises computed.exception.DriverError: they cannot be read
    """
    try:
        with folder.plain_errors(), folder.opened(guest[_FILE]) as file:
            return [Kept(**one) for one in json.load(file)]
    except exception.DriverError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return []
        raise
    except (TypeError, ValueError) as error:
        raise exception.DriverError(reason=f'{_FILE} is damaged') from error


def _keep(guest: folder.Folder, volumes: abc.Iterable[Kept]) -> None:
    folder.write(guest[_FILE], [dataclasses.asdict(one) for one in volumes])


def attach(guest: folder.Folder, volume: driver.Volume,
           hidden: abc.Iterable[str], main: proc.Process | None,
           hierarchies: abc.Sequence[cgroups.Hierarchy]) -> None:
    """Give a guest a volume; a repeat is harmless.

    :param hidden: files and folders that no guest may see
    :param main: the main process of a guest that runs
    :raises computed.exception.DriverError: it does not have it
    """
    have = of_guest(guest)
    kept = next((one for one in have
                 if one.volume_id == volume.volume_id), None)
    new = kept is None
    with folder.plain_errors(), _looked_at(
            volume.path, hidden, new) as (path, found):
        if kept is None:
            kept = Kept(
                volume.volume_id, volume.attachment_id, volume.path,
                shim_volumes.identity(found),
                [found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)])
            _ensure_free(guest, kept)
            kept = dataclasses.replace(kept, base=block_io.read(
                guest, kept.identity, hierarchies))
            _keep(guest, [*have, kept])
        uid = guest.record().uid
        try:
            if uid is not None:
                os.chown(path, uid, uid)
                os.chmod(path, 0o600)
            if main is not None:
                _in_namespace(guest, kept, main, shown=True)
        except BaseException as error:
            if new:
                # What is not supported was not shown, and cannot be hidden.
                detach(guest, volume.volume_id, None if isinstance(
                    error, exception.NotSupported) else main)
            raise


def detach(guest: folder.Folder, volume_id: str,
           main: proc.Process | None) -> None:
    """Take a volume from a guest; if it does not have it, do nothing.

    :param main: the main process of a guest that runs
    :raises computed.exception.DriverError: the guest still has it
    """
    have = of_guest(guest)
    for one in have:
        if one.volume_id == volume_id:
            with folder.plain_errors():
                if main is not None:
                    _in_namespace(guest, one, main, shown=False)
                _give_back(guest, one)
                _keep(guest, [other for other in have if other is not one])


def give_all_back(guest: folder.Folder) -> None:
    """Let the volumes of a guest that is off have their owners again."""
    try:
        have = of_guest(guest)
    except exception.DriverError as error:
        LOG.warning('Volumes of guest %s may keep its user as their owner: '
                    '%s', guest.uuid, error)
        return
    for one in have:
        with folder.plain_errors():
            _give_back(guest, one)


def _give_back(guest: folder.Folder, kept: Kept) -> None:
    try:
        descriptor = os.open(
            kept.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        found = os.fstat(descriptor)
        uid, gid, mode = kept.owner
        if shim_volumes.identity(found) == kept.identity and (
                found.st_uid == guest.record().uid):
            path = f'/proc/self/fd/{descriptor}'
            os.chmod(path, mode)
            os.chown(path, uid, gid)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _looked_at(path: str, hidden: abc.Iterable[str], new: bool
               ) -> abc.Iterator[tuple[str, os.stat_result]]:
    """Look at what is at a path, and hold it.

    :param new: whether no guest has it yet
    :returns: another path to it, which nobody can change, and its facts
    :raises computed.exception.VolumeUnusable: it cannot be a volume
    """
    def unusable(problem: str) -> exception.VolumeUnusable:
        return exception.VolumeUnusable(path=path, problem=problem)
    if not os.path.lexists(path):
        raise unusable('it does not exist')
    real = os.path.realpath(path)
    if real != path:
        raise unusable(f'a symbolic link leads to it; it is {real}')
    if any(path == one or path.startswith(f'{one}/') for one in hidden):
        raise unusable('it belongs to computed, or to a guest')
    if path.startswith(tuple(f'{one}/' for one in _KERNEL)):
        raise unusable('it is a file of the kernel')
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        held, found = f'/proc/self/fd/{descriptor}', os.fstat(descriptor)
        if os.readlink(held) != path:
            raise unusable('it has just changed')
        if stat.S_ISDIR(found.st_mode):
            raise unusable('it is a folder')
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISBLK(found.st_mode)):
            raise unusable('it is neither a file nor a block device')
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            raise unusable('it is a file with several names (hard links)')
        if not os.access(held, os.R_OK | os.W_OK):
            raise unusable(f'user {os.geteuid()}, who runs computed, may not '
                           'read and write it')
        if new and stat.S_ISBLK(found.st_mode):
            try:
                os.close(os.open(held, os.O_RDONLY | os.O_EXCL
                                 | os.O_NONBLOCK | os.O_CLOEXEC))
            except OSError as error:
                raise unusable(f'the device cannot be opened for one user '
                               f'alone: {error.strerror}') from error
        yield held, found
    finally:
        os.close(descriptor)


def _ensure_free(guest: folder.Folder, wanted: Kept) -> None:
    """Refuse what another guest of this host has, under any name."""
    root = os.path.dirname(guest.path)
    for uuid in listing.uuids(root):
        for one in of_guest(folder.Folder(root, uuid)):
            if one.identity == wanted.identity:
                raise exception.VolumeUnusable(
                    path=wanted.path, problem=f'guest {uuid} has it as '
                    f'volume {one.volume_id}')


def _in_namespace(guest: folder.Folder, kept: Kept, main: proc.Process,
                  shown: bool) -> None:
    """Show or hide a volume in the mount namespace of a guest that runs."""
    if os.geteuid() != 0:
        raise exception.NotSupported(
            driver='process', operation='change the volumes of a guest that '
            'runs, unless computed runs as root; stop the instance first')
    descriptor = proc.open_pidfd(main)
    if descriptor is None:
        return      # it has just ended
    try:
        if os.stat(f'/proc/{main.pid}/ns/user').st_ino != (
                os.stat('/proc/self/ns/user').st_ino):
            raise exception.NotSupported(
                driver='process', operation=f'change the volumes of guest '
                f'{guest.uuid}, which has gone into a user namespace of its '
                'own; stop the instance first')
        result = subprocess.run(
            [sys.executable, '-S', '-E', '-P', isolation.program(),
             'volume'], input=json.dumps({
                 'folder': guest.path, 'volume': kept.for_shim(),
                 'pidfd': descriptor, 'shown': shown}),
            check=False, capture_output=True, encoding='utf-8',
            errors='replace', timeout=_SECONDS, cwd='/',
            pass_fds=[descriptor])
    except subprocess.TimeoutExpired as error:
        raise exception.DriverTimeout(
            timeout=_SECONDS, operation='change the volumes of guest '
                                        f'{guest.uuid}') from error
    finally:
        os.close(descriptor)
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        raise exception.DriverError(
            reason=f'volume {kept.volume_id}: '
                   f'{lines[-1] if lines else "the shim has failed"}')
