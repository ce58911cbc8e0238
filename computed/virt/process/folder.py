"""The folder of one guest: its files, and how they are written.

* ``spec.json``: the guest and its owner, written once when it is made
* ``run.json``: the last start, written by the shim
* ``exit.json``: how that run ended, written by the shim
* ``run.json.tmp``, ``exit.json.tmp``: room for the next of each, so that a
  full disk keeps no guest from its end or from a reboot
* ``stopped``: a link to the ``run.json`` of the run that the driver ended on
  purpose, which is no crash
* ``console.log``, ``console.log.1``: what the guest printed, and before that
* ``volumes.json``: the volumes that it has; see ``volumes.py``
* ``disk/``: the working directory of its command

``<uuid>.new`` is a folder that is not complete yet; ``<uuid>.deleting`` is
one that is being removed.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import stat
import typing
from collections import abc

from computed import exception
from computed import files
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt.process import network
from computed.virt.process import proc
from computed.virt.process import state

NEW = '.new'
DELETING = '.deleting'
# Bytes to read of a JSON file. The driver and the shim write less.
_MAX_JSON = 1 << 20
# Do not follow a link, and do not wait for the writer of a pipe.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclasses.dataclass(frozen=True)
class Record:
    """The contents of ``spec.json``.

    :ivar owner: None in a file that lacks one
    :ivar interface: the network interface that the driver makes for the
        guest; None if it uses the host's network or its loopback only
    :ivar uid: the user and group of the guest's processes and of its disk;
        None: those of the daemon
    """

    spec: driver.InstanceSpec
    owner: virt_claim.Owner | None
    interface: network.Interface | None
    uid: int | None = None


def as_data(record: Record) -> dict[str, typing.Any]:
    """Return a record in a form for JSON."""
    return {**dataclasses.asdict(record.spec),
            'owner': record.owner and dataclasses.asdict(record.owner),
            'interface': record.interface
            and dataclasses.asdict(record.interface), 'uid': record.uid}


def from_data(data: typing.Any) -> Record:
    """Return the record that :func:`as_data` gave.

    :raises computed.exception.DriverError: it is damaged
    """
    with _damage_named('spec.json'):
        owner, interface = data.pop('owner'), data.pop('interface')
        uid = data.pop('uid', None)
        if not (uid is None or isinstance(uid, int) and uid > 0):
            raise ValueError(uid)
        return Record(
            spec=driver.InstanceSpec(**data),
            owner=owner and virt_claim.Owner(**owner),
            interface=interface and network.Interface(**interface), uid=uid)


@contextlib.contextmanager
def plain_errors() -> abc.Iterator[None]:
    """Turn an ``OSError`` into a ``DriverError`` of one line."""
    try:
        yield
    except OSError as error:
        where = f' ({error.filename})' if error.filename else ''
        raise exception.DriverError(
            reason=f'{error.strerror or error}{where}') from error


class Folder:
    """The folder of one guest, which need not exist."""

    def __init__(self, root: str, uuid: str) -> None:
        """Name the folder; look at nothing yet.

        :raises computed.exception.GuestNotFound: this is not a uuid
        """
        self.root = root
        self.uuid = uuid
        try:
            self.path = files.by_uuid(root, uuid)
        except ValueError as error:
            raise exception.GuestNotFound(uuid=uuid) from error

    def __getitem__(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return files.below(self.path, name)

    def exists(self) -> bool:
        """Return whether there is such a guest.

        :raises computed.exception.DriverError: the file system does not tell
        """
        with plain_errors():
            try:
                return stat.S_ISDIR(os.lstat(self.path).st_mode)
            except FileNotFoundError:
                return False

    def create(self, record: Record) -> None:
        """Make the folder with all its contents in one step.

        :raises OSError: it could not be made; nothing of it is left
        """
        new = self.path + NEW
        if os.path.isdir(new):
            shutil.rmtree(new)
        os.mkdir(new, mode=0o700)
        try:
            disk = files.below(new, 'disk')
            os.mkdir(disk, mode=0o700)
            if record.uid is not None:
                os.chown(disk, record.uid, record.uid)
            write(files.below(new, 'spec.json'), as_data(record))
            os.rename(new, self.path)
            _sync_directory(self.root)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def remove(self) -> None:
        """Remove the folder and what an earlier call left.

        An absent folder is success.

        :raises OSError: something cannot be removed
        """
        aside = self.path + DELETING
        if os.path.isdir(aside):
            shutil.rmtree(aside)
        if self.exists():
            # After the rename the guest is not listed any more. If the
            # daemon dies now, its next start removes the rest.
            os.rename(self.path, aside)
            shutil.rmtree(aside)

    def record(self) -> Record:
        """Return the contents of ``spec.json``.

        :raises computed.exception.DriverError: it cannot be read
        """
        return from_data(self._read('spec.json', missing_ok=False))

    def owner(self) -> virt_claim.Owner | None:
        """Return the owner of the guest; None if it cannot be read."""
        try:
            return self.record().owner
        except exception.DriverError:
            return None

    def run(self) -> state.Run | None:
        """Return the last run; None if the guest was never started.

        :raises computed.exception.DriverError: it cannot be read
        """
        data = self._read('run.json')
        if data is None:
            return None
        with _damage_named('run.json'):
            return state.Run(
                boot_id=data['boot_id'],
                main=proc.Process(int(data['pid']),
                                  int(data['start_time'])),
                shim=proc.Process(int(data['shim_pid']),
                                  int(data['shim_start_time'])),
                started_at=data['started_at'],
                cgroups=tuple(map(str, data.get('cgroups', ()))))

    def has(self, name: str) -> bool:
        """Return whether there is such a file in the folder."""
        return os.path.lexists(self[name])

    def restore_record(self, record: Record) -> None:
        """Write ``spec.json`` again after it was lost.

        :raises OSError: it cannot be written
        """
        write(self['spec.json'], as_data(record), '.restored')

    def restore_run(self, run: state.Run) -> None:
        """Write the record of a run that was lost.

        :raises OSError: it cannot be written
        """
        try:
            self.run()
        except exception.DriverError:       # it is damaged
            self.forget_run()
        write(self['run.json'], {
            **run.identity, 'shim_pid': run.shim.pid,
            'shim_start_time': run.shim.start_time,
            'started_at': run.started_at, 'cgroups': run.cgroups},
            '.restored')

    def forget_run(self) -> None:
        """Give the record of the last run, which is damaged, another name."""
        with contextlib.suppress(FileNotFoundError):
            files.set_aside(self['run.json'])

    def ending(self) -> state.Ending | None:
        """Return how a run ended; None if that is not recorded or damaged."""
        try:
            data = self._read('exit.json')
            with _damage_named('exit.json'):
                return data and state.Ending(
                    boot_id=data['boot_id'], pid=data['pid'],
                    start_time=data['start_time'], code=int(data['code']))
        except exception.DriverError:
            return None

    def stopping(self) -> state.Identity | None:
        """Return the run that the driver ended on purpose, or None."""
        try:
            data = self._read('stopped')
            with _damage_named('stopped'):
                return data and state.Identity(
                    boot_id=data['boot_id'], pid=data['pid'],
                    start_time=data['start_time'])
        except exception.DriverError:
            return None

    def write_stopping(self) -> None:
        """Record that the driver is about to end the last run.

        The record is a second link to ``run.json``. It takes no space, so it
        can be written on a full disk, where an operator stops guests to get
        space. The next start replaces ``run.json`` and not this link.
        """
        self.forget_stopping()
        os.link(self['run.json'], self['stopped'])

    def forget_stopping(self) -> None:
        """Remove the record: the run goes on."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self['stopped'])

    def dropped(self) -> int:
        """Return how many bytes of the last run's output were dropped.

        Those are left out that the console tells of.
        """
        with contextlib.suppress(exception.DriverError, KeyError, TypeError,
                                 ValueError):
            run, ended = self.run(), self._read('exit.json')
            # Once the run has ended, the other file has the end before.
            return int((ended if run and ended and all(
                ended[name] == value for name, value in run.identity.items())
                else self._read('exit.json.tmp'))['dropped'])
        return 0

    def _read(self, name: str, missing_ok: bool = True) -> typing.Any:
        try:
            with opened(self[name]) as file:
                return json.loads(file.read(_MAX_JSON))
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


def opened(path: str) -> typing.BinaryIO:
    """Open a file of a guest for reading, and follow no link.

    If a folder is in its place, the opener leaves no descriptor open.

    :raises OSError: it cannot be opened
    """
    return open(path, 'rb', opener=lambda path, flags: os.open(path, READ))


@contextlib.contextmanager
def _damage_named(name: str) -> abc.Iterator[None]:
    """Report a file with unexpected contents as damaged."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise exception.DriverError(reason=f'{name} is damaged') from error


def write(path: str, value: object, suffix: str = '.tmp') -> None:
    """Write a value as JSON; a reader finds the old file or the new one.

    :raises OSError: it cannot be written
    """
    temporary = path + suffix
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                         | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, 'w', encoding='utf-8') as file:
        json.dump(value, file)
        file.flush()
        os.fsync(descriptor)
    os.rename(temporary, path)
    _sync_directory(os.path.dirname(path))


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
