"""The identity of a service across restarts, and the lock on its state path.
"""

import dataclasses
import fcntl
import os
import typing

from computed import chance
from computed import clock
from computed import exception
from computed import files
from computed.conf import validation

FILE = 'service.json'
LOCK = 'computed.lock'
BOOT_ID = '/proc/sys/kernel/random/boot_id'


@dataclasses.dataclass(frozen=True)
class Identity:
    """The identity of this service.

    :ivar service_id: kept in the state path
    :ivar boot_id: new at each start of the service
    :ivar host_boot_id: new at each start of the machine
    :ivar began: when the service started, in seconds since the machine booted
    :ivar known_host_boot_id: the start of the machine whose consequences are
        all repaired; None at the first start of the service
    """

    service_id: str
    boot_id: str
    host_boot_id: str
    known_host_boot_id: str | None
    began: float = 0.0

    @property
    def after_reboot(self) -> bool:
        """Return whether consequences of a restart of the machine remain."""
        return self.known_host_boot_id not in (None, self.host_boot_id)


def load(state_path: str, boot_id_path: str = BOOT_ID) -> Identity:
    """Return the identity of this service.

    Its lasting part is made at the first start.

    :param boot_id_path: a file that names this start of the machine
    :raises computed.exception.ConfigError: the lasting part cannot be read
    :raises OSError: it cannot be written
    """
    try:
        kept = files.read_json(files.below(state_path, FILE))
    except OSError as error:
        raise validation.unusable_state_path(
            state_path, error) from error
    if not isinstance(kept, dict) or 'service_id' not in kept:
        kept = {'service_id': chance.uuid()}
    with open(boot_id_path, encoding='ascii') as stream:
        host_boot_id = stream.read().strip()
    found = Identity(kept['service_id'], chance.uuid(), host_boot_id,
                     kept.get('host_boot_id'), clock.monotonic())
    if not found.after_reboot:
        keep(state_path, found)
    return found


def keep(state_path: str, identity: Identity) -> None:
    """Record that the consequences of this start of the machine are over.

    :raises OSError: it could not be written
    """
    files.write_json(files.below(state_path, FILE), {
        'service_id': identity.service_id,
        'host_boot_id': identity.host_boot_id})


def place(locked: typing.IO[str]) -> str:
    """Return what tells a lock file from its copies on this machine.

    :param locked: the open file from :func:`lock`. No other file gets its
        number while it is open.
    """
    found = os.fstat(locked.fileno())
    return f'{found.st_dev:x}:{found.st_ino:x}'


def lock(state_path: str) -> typing.IO[str]:
    """Keep every other ``computed`` off ``state_path``.

    :returns: the open file; the lock lasts as long as it is open
    :raises computed.exception.AlreadyRunning: another one holds the lock
    :raises computed.exception.ConfigError: the path cannot be used
    """
    try:
        files.make_private(state_path)
        # noqa below: it stays open, and locked, as long as the service runs
        stream = open(      # noqa: SIM115
            files.open_private(files.below(state_path, LOCK),
                               os.O_RDWR | os.O_CREAT | os.O_APPEND),
            'r+', encoding='ascii')
    except OSError as error:
        raise validation.unusable_state_path(
            state_path, error) from error
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        pid = stream.read().strip() or 'unknown'
        stream.close()
        raise exception.AlreadyRunning(pid=pid, path=state_path) from None
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
    return stream
