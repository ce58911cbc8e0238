"""What a service remembers of one instance, and the files that keep it."""

import dataclasses
import os
import typing

from oslo_log import log as logging

from computed import clock
from computed import exception
from computed import files
from computed import states
from computed.logs import named
from computed.logs import seldom
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
# The claim_id of an instance whose file was damaged or lost. No row has it.
UNKNOWN = 'unknown'


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
        """Return whether the instance was deleted or moved away.

        That stays so while its host removes what is left of it.
        """
        if self.vm_state is None and self.before is not None:
            return self.before.gone
        return self.vm_state in (states.DELETED, MOVED)

    @property
    def held(self) -> bool:
        """Return whether the instance is held, because its row regressed."""
        return self.regressed is not None

    def is_in(self, row: Row) -> bool:
        """Return whether ``row`` has this, or says the same.

        A row that still shows a claim as held lacks the end of the claim.
        """
        held = self.vm_state is None and row.claim_id == self.claim_id
        return (held or row.settled_claim_id == self.claim_id or
                self.vm_state == row.vm_state)

    def precedes(self, row: Row) -> bool:
        """Return whether ``row`` was written later, in the same history."""
        return row.revision > self.revision and self.incarnation in (
            None, row.origin and row.origin.incarnation)

    def error(self, uuid: str) -> exception.InstanceRegressed:
        """Return what a request on the held instance gets."""
        if self.claim_id == UNKNOWN:
            return exception.InstanceUnknown(
                instance=self.name, uuid=uuid,
                vm_state=self.regressed or 'something else')
        return exception.InstanceRegressed(
            instance=self.name, uuid=uuid,
            vm_state=self.regressed or 'something else',
            settled=self.vm_state or 'an operation')


def unknown(name: str, regressed: str = '') -> Remembered:
    """Return what counts of an instance of which nothing is known: a hold."""
    return Remembered(name, UNKNOWN, 0, None, None, regressed=regressed)


class Store:
    """The files of what is remembered, one for each instance.

    They need no fsync: they survive the end of the service at once, and a
    power cut ends the guests too. A file that is lost, or from another host
    or database, counts as nothing remembered. So does one that is damaged, if
    a restart of the machine explains that; else its instance is held.
    """

    def __init__(self, folder: str | os.PathLike[str],
                 owner: virt_claim.Owner, after_reboot: bool = False,
                 reserve: files.Reserve | None = None) -> None:
        """Make ``folder`` if it is absent.

        :param after_reboot: whether this is the first start of the service
            after one of the machine
        :param reserve: room for writes on a full disk; None: there is none
        :raises OSError: it cannot be made
        """
        self._folder = folder
        self._after_reboot = after_reboot
        self._reserve = reserve
        self._owner = dataclasses.asdict(owner)
        self._lines = seldom.Seldom(LOG)
        files.make_private(folder)

    def read(self) -> dict[str, Remembered]:
        """Return what is remembered of each instance, by uuid."""
        oldest, found = clock.time() - KEPT, {}
        for name in sorted(os.listdir(self._folder)):
            uuid = name.removesuffix(SUFFIX)
            if uuid == name or not files.is_uuid(uuid):
                continue        # none of ours has such a name
            path = files.below(self._folder, name)
            try:
                one = self._read(uuid)
                if one and one.gone and os.stat(path).st_mtime < oldest:
                    files.remove(path)
                    continue
            except (files.Damaged, OSError) as error:
                one = self._set_aside(uuid, error)
            if one is not None:
                found[uuid] = one
        return found

    def _set_aside(self, uuid: str, error: files.Damaged | OSError
                   ) -> Remembered | None:
        """Keep a damaged file by another name; return what counts instead.

        :raises OSError: that is not possible
        """
        aside = files.set_aside(files.by_uuid(self._folder, uuid, SUFFIX))
        if self._after_reboot:
            LOG.warning('What this host had recorded of instance %(uuid)s was '
                        'lost, probably when the machine went down: '
                        '%(error)s. It is kept as %(aside)s.',
                        {'uuid': uuid, 'error': files.explained(error),
                         'aside': aside})
            return None
        one = unknown(uuid)
        LOG.error('%(error)s. It is kept as %(aside)s. %(held)s',
                  {'error': files.explained(error), 'aside': aside,
                   'held': one.error(uuid)})
        self.write(uuid, one)
        return one

    def write(self, uuid: str, one: Remembered | None) -> None:
        """Replace what is remembered of an instance; None: nothing."""
        try:
            path = files.by_uuid(self._folder, uuid, SUFFIX)
            if one is None:
                files.remove(path, durable=False, reserve=self._reserve)
            else:
                files.write_json(path, {
                    'owner': self._owner, 'uuid': uuid,
                    **dataclasses.asdict(one)}, durable=False,
                    reserve=self._reserve)
        except (OSError, ValueError) as error:
            # The file has what was known earlier, which does no harm.
            self._lines.warn('What is known of instance %s could not be '
                             'written: %s',
                             named.instance(one.name if one else '', uuid),
                             error)

    def _read(self, uuid: str) -> Remembered | None:
        """Return what the file of an instance has; None: nothing of ours.

        :raises computed.files.Damaged: it is damaged
        :raises OSError: it cannot be read
        """
        path = files.by_uuid(self._folder, uuid, SUFFIX)
        values = files.read_json(path)
        if values is None:
            return None
        with files.understood(path):
            if values.pop('owner') != self._owner:
                return None
            if values.pop('uuid') != uuid:
                raise ValueError(uuid)
            before = values.pop('before')
            return checked(Remembered(
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
