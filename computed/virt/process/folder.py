"""The folder of one instance: what is kept in it, and how.

* ``spec.json``: what it is and whose, written once when it is made
* ``run.json``: the last start, by the shim
* ``exit.json``: how that ended, by the shim
* ``stopped``: the ``run.json`` that we ended on purpose: that is no crash
* ``console.log``: what it printed
* ``disk/``: where its command runs

Besides, ``<uuid>.new`` is a folder not yet complete, ``<uuid>.deleting`` one
no longer.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import stat

from computed import exception
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt.process import network
from computed.virt.process import proc
from computed.virt.process import state

_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_NEW = '.new'
_DELETING = '.deleting'
# No file we write comes near it; a larger one is not ours.
_LARGEST = 1 << 20
# Never through a link, and never waiting for the other end of a pipe.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclasses.dataclass(frozen=True)
class Record:
    """What ``spec.json`` holds.

    :ivar interface: the :class:`network.Interface` of a guest with a network
        of its own; None if it has none but the loopback, or the host's
    """

    spec: driver.InstanceSpec
    owner: virt_claim.Owner | None
    interface: network.Interface | None


@contextlib.contextmanager
def plain_errors():
    """Report what the file system says as one line."""
    try:
        yield
    except OSError as error:
        where = f' ({error.filename})' if error.filename else ''
        raise exception.DriverError(
            reason=f'{error.strerror or error}{where}') from error


def uuids(root):
    """The uuids of the folders under ``root``; links do not count."""
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries
                      if _UUID.fullmatch(entry.name)
                      and entry.is_dir(follow_symlinks=False))


def clear_leftovers(root):
    """Finish what a daemon that died had begun to make or to remove."""
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries
                 if entry.is_dir(follow_symlinks=False)]
    for name in names:
        uuid, suffix = os.path.splitext(name)
        if _UUID.fullmatch(uuid) and suffix in (_NEW, _DELETING):
            shutil.rmtree(os.path.join(root, name))


class Folder:
    """The folder of one instance, whether it exists or not."""

    def __init__(self, root, uuid):
        self.root = root
        self.uuid = uuid
        self.path = os.path.join(root, uuid)

    def __getitem__(self, name):
        return os.path.join(self.path, name)

    def exists(self):
        """Whether there is such an instance."""
        if not _UUID.fullmatch(self.uuid):
            return False
        with plain_errors():
            try:
                return stat.S_ISDIR(os.lstat(self.path).st_mode)
            except FileNotFoundError:
                return False

    def create(self, record):
        """Make it, complete at once.

        :type record: Record
        :raises OSError: it could not be made; nothing of it is left
        """
        if not _UUID.fullmatch(self.uuid):
            raise exception.DriverError(reason=f'{self.uuid} is not a uuid')
        new = self.path + _NEW
        if os.path.isdir(new):
            shutil.rmtree(new)
        os.mkdir(new, mode=0o700)
        try:
            os.mkdir(os.path.join(new, 'disk'), mode=0o700)
            _write(os.path.join(new, 'spec.json'), {
                **dataclasses.asdict(record.spec),
                'owner': dataclasses.asdict(record.owner),
                'interface': record.interface
                and dataclasses.asdict(record.interface)})
            os.rename(new, self.path)
            _sync_directory(self.root)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def remove(self):
        """Remove it and what an earlier try has left; absent is success."""
        aside = self.path + _DELETING
        if os.path.isdir(aside):
            shutil.rmtree(aside)
        if self.exists():
            # From here on it is not listed, and the next start finishes.
            os.rename(self.path, aside)
            shutil.rmtree(aside)

    def record(self):
        """What ``spec.json`` holds.

        :rtype: Record
        :raises computed.exception.DriverError: it cannot be read
        """
        data = self._read('spec.json', missing_ok=False)
        with _understood('spec.json'):
            owner, interface = data.pop('owner'), data.pop('interface')
            return Record(
                spec=driver.InstanceSpec(**data),
                owner=owner and virt_claim.Owner(**owner),
                interface=interface and network.Interface(**interface))

    def owner(self):
        """Whose it is; None if that cannot be told."""
        try:
            return self.record().owner
        except exception.DriverError:
            return None

    def run(self):
        """The last :class:`state.Run`; None if there was none.

        :raises computed.exception.DriverError: it cannot be read
        """
        data = self._read('run.json')
        if data is None:
            return None
        with _understood('run.json'):
            return state.Run(
                boot_id=data['boot_id'],
                main=proc.Process(int(data['pid']),
                                  int(data['start_time'])),
                shim=proc.Process(int(data['shim_pid']),
                                  int(data['shim_start_time'])),
                started_at=data['started_at'])

    def forget_run(self):
        """Remove what is known of the last start."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self['run.json'])

    def ending(self):
        """What ``exit.json`` holds; None without, or if it is no good."""
        try:
            data = self._read('exit.json')
            with _understood('exit.json'):
                return data and {**data, 'code': int(data['code'])}
        except exception.DriverError:
            return None

    def stopping(self):
        """The identity of the run we ended; None without."""
        try:
            data = self._read('stopped')
            with _understood('stopped'):
                return data and {name: data[name] for name in (
                    'boot_id', 'pid', 'start_time')}
        except exception.DriverError:
            return None

    def write_stopping(self):
        """Note that the last run is about to be ended on purpose.

        A second name for its file is the note: it takes no room, and
        stopping guests is how one gets room on a full disk. The next start
        replaces ``run.json`` and leaves the note as it is.
        """
        self.forget_stopping()
        os.link(self['run.json'], self['stopped'])

    def forget_stopping(self):
        """The run goes on after all."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self['stopped'])

    def console(self, max_bytes):
        """The last bytes the instance printed; empty if it never did."""
        try:
            descriptor = os.open(self['console.log'], _READ)
        except FileNotFoundError:
            return b''
        with open(descriptor, 'rb') as file:
            size = os.fstat(descriptor).st_size
            file.seek(max(0, size - max_bytes))
            return file.read(max_bytes)

    def _read(self, name, missing_ok=True):
        try:
            with open(os.open(self[name], _READ), 'rb') as file:
                return json.loads(file.read(_LARGEST))
        except FileNotFoundError as error:
            if missing_ok:
                return None
            raise exception.DriverError(reason=f'{name} is missing') \
                from error
        except OSError as error:
            raise exception.DriverError(
                reason=f'{name} cannot be read: {error.strerror}') from error
        except ValueError as error:
            raise exception.DriverError(
                reason=f'{name} is damaged') from error


@contextlib.contextmanager
def _understood(name):
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise exception.DriverError(reason=f'{name} is damaged') from error


def _write(path, value):
    temporary = path + '.tmp'
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                         | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, 'w', encoding='utf-8') as file:
        json.dump(value, file)
        file.flush()
        os.fsync(descriptor)
    os.rename(temporary, path)
    _sync_directory(os.path.dirname(path))


def _sync_directory(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
