"""The identity of a service across restarts, and its folders."""

import dataclasses
import typing

from computed import chance
from computed import clock
from computed import exception
from computed import files
from computed.conf import validation

FILE = 'service.json'
# The folders of what a service writes, below its state path.
FOLDERS = ('claims', 'settled', 'tasks')
REMEDY = ('Restore it from a backup, which has the same service_id. If there '
          'is none, move it away: this host then becomes another service, and '
          'the claims of the former one stay until they are released.')
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
    :raises computed.exception.FileDamaged: it is damaged
    :raises computed.exception.StatePathUnwritable: it cannot be written now
    """
    path = files.below(state_path, FILE)
    try:
        kept = _kept(path)
    except OSError as error:
        raise validation.unusable_state_path(
            state_path, error) from error
    except files.Damaged as error:
        raise exception.FileDamaged(
            path=path, reason=error.reason, remedy=REMEDY) from error
    with open(boot_id_path, encoding='ascii') as stream:
        host_boot_id = stream.read().strip()
    found = Identity(kept.get('service_id') or chance.uuid(), chance.uuid(),
                     host_boot_id, kept.get('host_boot_id'),
                     clock.monotonic())
    # A file that says this already is left alone: the disk may be full.
    if found.known_host_boot_id is None:
        try:
            keep(state_path, found)
        except OSError as error:
            raise validation.unusable_state_path(
                state_path, error) from error
    return found


def _kept(path: str) -> dict[str, typing.Any]:
    """Return the lasting part; {}: there is none yet.

    :raises computed.files.Damaged: the file is damaged
    :raises OSError: it cannot be read
    """
    kept = files.read_json(path)
    if kept is None:
        return {}
    with files.understood(path):
        if not files.is_uuid(kept['service_id']) or not isinstance(
                kept.get('host_boot_id'), str | None):
            raise ValueError(kept)
        return dict(kept)


def keep(state_path: str, identity: Identity) -> None:
    """Record that the consequences of this start of the machine are over.

    :raises OSError: it could not be written
    """
    files.write_json(files.below(state_path, FILE), {
        'service_id': identity.service_id,
        'host_boot_id': identity.host_boot_id})


def tidied(state_path: str) -> files.Reserve:
    """Make the folders of the state path, and remove what a crash has left.

    The caller has locked it.

    :returns: the room in which guests are ended although the disk is full
    :raises computed.exception.StatePathUnwritable: there is no room now
    :raises computed.exception.ConfigError: a folder cannot be used
    """
    reserve = files.Reserve(files.below(state_path, 'reserve'))
    try:
        files.clear_temporaries(state_path)
        for name in FOLDERS:
            folder = files.below(state_path, name)
            files.make_private(folder)
            files.clear_temporaries(folder)
        reserve.fill()
    except OSError as error:
        raise validation.unusable_state_path(state_path, error) from error
    return reserve
