"""What a service remembers of one instance, and the files that keep it."""

import dataclasses
import os
import typing

from oslo_log import log as logging

from computed import clock
from computed import exception
from computed import files
from computed import states
from computed.virt import claim as virt_claim

LOG = logging.getLogger(__name__)

Row: typing.TypeAlias = typing.Any      # an Instance
# Seconds for which an instance is remembered that is gone from this host: it
# could come back with a backup, and backups are younger.
KEPT = 30 * 86400.0
SUFFIX = '.json'
# The vm_state of an instance that another host has now.
MOVED = 'moved'
# The vm_state of a row that is missing.
NOTHING = 'nothing'
# What the user of an instance ordered, beside its name and its host.
ORDER = ('command', 'vcpus', 'memory_mb', 'disk_gb', 'network')


@dataclasses.dataclass(frozen=True)
class Remembered:
    """What the primary had of an instance when this service wrote it last.

    :ivar name: of the instance, for people
    :ivar claim_id: the claim that was settled last, or that is held now
    :ivar revision: of the row then
    :ivar incarnation: of the database then; None: it was not known
    :ivar vm_state: of the row then; None: the claim is held, or its end was
        never learned
    :ivar before: what counts again if the claim is released; None: nothing
    :ivar regressed: the vm_state of the regressed row, or '' if it is not
        known; None: the row is not regressed
    :ivar order: what its user ordered, so that a row that is lost can be made
        again; None: it is not known
    """

    name: str
    claim_id: str
    revision: int
    incarnation: str | None
    vm_state: str | None
    before: 'Remembered | None' = None
    regressed: str | None = None
    order: dict[str, typing.Any] | None = None

    @property
    def gone(self) -> bool:
        """Return whether the instance was deleted or moved away."""
        return self.vm_state in (states.DELETED, MOVED)

    @property
    def held(self) -> bool:
        """Return whether the instance is held, because its row regressed."""
        return self.regressed is not None

    def is_in(self, row: Row) -> bool:
        """Return whether ``row`` has this, or says the same."""
        return (self.claim_id in (row.settled_claim_id, row.claim_id) or
                self.vm_state == row.vm_state)

    def precedes(self, row: Row) -> bool:
        """Return whether ``row`` was written later, in the same history."""
        return row.revision > self.revision and self.incarnation in (
            None, row.origin and row.origin.incarnation)

    def error(self, uuid: str) -> exception.InstanceRegressed:
        """Return what a request on the held instance gets."""
        return exception.InstanceRegressed(
            instance=self.name, uuid=uuid,
            vm_state=self.regressed or 'something else',
            settled=self.vm_state or 'an operation')


class Store:
    """The files of what is remembered, one for each instance.

    They need no fsync: they survive the end of the service at once, and a
    power cut ends the guests too. A file that is lost, damaged, or from
    another host or database counts as nothing remembered.
    """

    def __init__(self, folder: str | os.PathLike[str],
                 owner: virt_claim.Owner) -> None:
        """Make ``folder`` if it is absent.

        :raises OSError: it cannot be made
        """
        self._folder = folder
        self._owner = dataclasses.asdict(owner)
        files.make_private(folder)

    def read(self) -> dict[str, Remembered]:
        """Return what is remembered of each instance, by uuid."""
        oldest, found = clock.time() - KEPT, {}
        for name in sorted(os.listdir(self._folder)):
            path = files.below(self._folder, name)
            try:
                uuid, one = self._understood(files.read_json(path))
                if path != files.by_uuid(self._folder, uuid, SUFFIX):
                    continue
                if one.gone and os.stat(path).st_mtime < oldest:
                    files.remove(path)
                    continue
            except (OSError, TypeError, KeyError, AttributeError,
                    ValueError):
                continue
            found[uuid] = one
        return found

    def write(self, uuid: str, one: Remembered | None) -> None:
        """Replace what is remembered of an instance; None: nothing."""
        try:
            path = files.by_uuid(self._folder, uuid, SUFFIX)
            if one is None:
                files.remove(path, durable=False)
            else:
                files.write_json(path, {
                    'owner': self._owner, 'uuid': uuid,
                    **dataclasses.asdict(one)}, durable=False)
        except (OSError, ValueError) as error:
            # The file has what was known earlier, which does no harm.
            LOG.warning('What is known of instance %(uuid)s could not be '
                        'written: %(error)s', {'uuid': uuid, 'error': error})

    def _understood(self, values: typing.Any) -> tuple[str, Remembered]:
        """Return what a file has.

        :raises TypeError, KeyError, AttributeError: nothing that counts
        """
        if values.pop('owner') != self._owner:
            raise KeyError('owner')
        uuid, before = values.pop('uuid'), values.pop('before')
        return uuid, checked(Remembered(
            before=before and checked(Remembered(**before)), **values))


def checked(one: Remembered) -> Remembered:
    """Return ``one`` if its values have their types.

    :raises TypeError: they have not
    """
    if not all((isinstance(one.name, str), isinstance(one.claim_id, str),
                isinstance(one.revision, int),
                isinstance(one.order, dict | None),
                *(isinstance(value, str | None) for value in (
                    one.incarnation, one.vm_state, one.regressed)))):
        raise TypeError(one)
    return one


def order_of(row: Row) -> dict[str, typing.Any] | None:
    """Return what the user of an instance ordered; None if it is damaged."""
    if set(ORDER).intersection(row.damaged_fields()):
        return None
    return {name: getattr(row, name) for name in ORDER}
