"""Who this service is: across restarts, and alone on its state path."""

import dataclasses
import fcntl
import os
import uuid

from computed import exception
from computed import files

FILE = 'service.json'
BOOT_ID = '/proc/sys/kernel/random/boot_id'


@dataclasses.dataclass(frozen=True)
class Identity:
    """:ivar service_id: kept in the state path
    :ivar boot_id: new at each start of the service
    :ivar host_boot_id: new at each start of the machine
    :ivar known_host_boot_id: the one of which all consequences are dealt
        with; None at the first start
    """

    service_id: str
    boot_id: str
    host_boot_id: str
    known_host_boot_id: str | None

    @property
    def after_reboot(self):
        """Whether the machine was restarted since all was well."""
        return self.known_host_boot_id not in (None, self.host_boot_id)


def load(state_path: str, boot_id_path: str = BOOT_ID) -> Identity:
    """Return the identity of this service.

    Its lasting part is made at the first start.

    :param boot_id_path: a file that names this start of the machine
    """
    kept = files.read_json(os.path.join(state_path, FILE))
    if not isinstance(kept, dict) or 'service_id' not in kept:
        kept = {'service_id': str(uuid.uuid4())}
    with open(boot_id_path, encoding='ascii') as stream:
        host_boot_id = stream.read().strip()
    found = Identity(kept['service_id'], str(uuid.uuid4()), host_boot_id,
                     kept.get('host_boot_id'))
    if not found.after_reboot:
        keep(state_path, found)
    return found


def keep(state_path, identity):
    """What the last restart of the machine left is dealt with."""
    files.write_json(os.path.join(state_path, FILE), {
        'service_id': identity.service_id,
        'host_boot_id': identity.host_boot_id})


def lock(state_path):
    """Keep every other ``computed`` off ``state_path`` until this one ends.

    :returns: the open file; the lock lasts as long as it is open
    :raises computed.exception.AlreadyRunning: another one is there
    :raises computed.exception.ConfigError: the path cannot be used
    """
    path = os.path.join(state_path, 'computed.lock')
    try:
        os.makedirs(state_path, mode=0o700, exist_ok=True)
        # noqa below: it is open, and locked, for as long as we run
        stream = open(path, 'a+', encoding='ascii')     # noqa: SIM115
    except OSError as error:
        raise exception.ConfigError(
            option='[DEFAULT] state_path', value=state_path,
            problem=error.strerror,
            remedy='Give another with --state-path.') from error
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
