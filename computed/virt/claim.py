"""The right to act on a guest, and the owner of a guest.

The primary grants a claim to one host service at a time. A driver demands
one for every change. This module imports little of ``computed``, so that
``virt`` need not know how a claim is requested. Only
``computed.claims.claims`` makes a :class:`Claim`; the lint step checks that.
"""

import dataclasses
import threading
import typing

from computed import exception
from computed.logs import named

# An object of computed.objects. Its fields exist at run time only.
Row = typing.Any


@dataclasses.dataclass(frozen=True)
class Owner:
    """The database and the host that a guest belongs to.

    Every guest carries its owner. The service lists a guest of another owner
    and never changes it, because it cannot see the records of that guest.

    :ivar database_id: the id that the database got when it was made
    :ivar host: the name of the host in that database
    """

    database_id: str
    host: str


@dataclasses.dataclass
class Registration:
    """Whether this run of the service is registered for its host.

    :ivar holds: False as soon as the primary says that another run has the
        host; then no claim allows an act
    """

    holds: bool = True


class Interruption:
    """Tells an act that takes too long to come to an end.

    The act is done, or was interrupted: the first that takes ``lock`` decides.

    :ivar lock: held while it is decided, and while the row is written
    :ivar reason: why the act shall end; None: it shall go on. A driver that
        waits for a guest to obey stops waiting
    :ivar over: whether the act has done its part, so that it is too late
    :ivar unknown: whether the row may have been written, or may not
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reason: exception.ComputedError | None = None
        self.over = self.unknown = False

    def close(self) -> exception.ComputedError | None:
        """Let nobody interrupt from now on; return the reason."""
        with self.lock:
            # No schedule shows that it is needed: an instant later the claim
            # is not live any more, and that is asked too.
            self.over = True
            return self.reason


@dataclasses.dataclass
class Claim:
    """The right to act on one guest, granted by the primary.

    :ivar claim_id: a uuid. The host makes it before it sends the request, so
        that the primary grants a repeated request only once.
    :ivar operation: name of the operation, for logs and the journal
    :ivar instance: the row that the primary returned with the grant. No
        other service can change it while the claim is held. None if the
        guest has no instance.
    :ivar owner: the owner of the guests that this claim allows to change
    :ivar guest: the uuid of a guest that has no instance; else None
    :ivar about: what the operation is about beside its instances, such as the
        uuid of a volume
    :ivar rows: all instances that the claim holds, with ``instance``
    :ivar whole: the claim that :meth:`of` was called on; None if this is it
    :ivar live: whether the claim is held; it ends once and for all
    :ivar registration: of the run of the service that got the claim
    :ivar interruption: see there
    """

    claim_id: str
    operation: str
    instance: Row
    owner: Owner
    guest: str | None = None
    about: str | None = None
    rows: tuple[Row, ...] = ()
    whole: 'Claim | None' = None
    live: bool = True
    registration: Registration = dataclasses.field(
        default_factory=Registration)
    interruption: Interruption = dataclasses.field(
        default_factory=Interruption)

    @property
    def uuid(self) -> str:
        """Return the uuid of the guest that may be changed."""
        if self.instance is not None:
            return self.instance.uuid
        if self.guest is None:
            raise ValueError(f'claim {self.claim_id} names no guest')
        return self.guest

    @property
    def label(self) -> str:
        """Return what a log line calls the instance, or the guest."""
        return (self.uuid if self.instance is None else
                named.instance(self.instance.name, self.uuid))

    def of(self, instance: Row) -> 'Claim':
        """Return this claim as the right to act on another of its instances.

        Both end together.

        :param instance: one of ``rows``
        :raises ValueError: the claim does not hold this instance
        """
        if not any(instance is row for row in self.rows):
            raise ValueError(
                f'claim {self.claim_id} does not hold instance '
                f'{instance.uuid}')
        return dataclasses.replace(self, instance=instance,
                                   whole=self.whole or self)

    def amended(self, row: Row) -> None:
        """Take the fresh row of the instance, which was written meanwhile."""
        self.rows = tuple(
            row if one is self.instance else one for one in self.rows)
        self.instance = row

    def ensure_live(self) -> None:
        """Refuse to act after the claim has ended, or the registration.

        :raises computed.exception.ClaimNotLive: the claim has ended
        :raises computed.exception.Replaced: another run of the service is
            registered for this host
        """
        self.ensure_not_ended()
        if not self.registration.holds:
            raise exception.Replaced(operation=self.operation)

    def ensure_not_ended(self) -> None:
        """Refuse to end a claim twice.

        :raises computed.exception.ClaimNotLive: the claim has ended
        """
        if not (self.whole or self).live:
            raise exception.ClaimNotLive(
                claim_id=self.claim_id, uuid=self.uuid)

    def end(self) -> None:
        """End the claim: :meth:`ensure_live` refuses from now on."""
        (self.whole or self).live = False

    def ensure_ours(self, owner: Owner | None) -> None:
        """Refuse a guest that has another owner, or none.

        :param owner: the owner that the guest carries
        :raises computed.exception.ForeignGuest: this service does not own
            the guest
        """
        if owner != self.owner:
            raise exception.ForeignGuest(
                uuid=self.uuid,
                owner='nobody' if owner is None else
                f'host {owner.host} of database {owner.database_id}')
