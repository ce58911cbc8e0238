"""The right to act on one instance: a value, and who may hold it.

A leaf module, so that ``virt`` can demand a claim without knowing how one is
won. Only ``computed.claims.claims`` makes one; the lint step checks that.
"""

import dataclasses
import typing

from computed import exception


@dataclasses.dataclass(frozen=True)
class Owner:
    """Whose guest this is: the database and the host that made it.

    Each guest carries one. A guest with another mark is listed, and never
    touched: it belongs to somebody whose records we do not see.
    """

    database_id: str
    host: str


@dataclasses.dataclass
class Claim:
    """Leave, given by the primary, to act on one guest.

    :ivar claim_id: drawn by the host before it asks, so that a repeated
        request is granted once
    :ivar operation: what it is for, for logs and the journal
    :ivar instance: the fresh row the grant returned; while the claim is
        held, the only facts to go by. None for a guest without one
    :ivar mark: whose guests may be touched under this claim
    :ivar guest: the uuid of a guest that has no instance
    :ivar rows: every row that the claim holds, ``instance`` among them
    :ivar whole: the claim that this is a part of, if of several instances
    """

    claim_id: str
    operation: str
    instance: typing.Any
    owner: Owner
    guest: str | None = None
    rows: tuple = ()
    whole: 'Claim | None' = None
    live: bool = True

    @property
    def uuid(self):
        """The uuid of the guest that may be acted on."""
        return self.guest if self.instance is None else self.instance.uuid

    def of(self, instance):
        """The same claim, to act on another of its instances.

        :param instance: one of ``rows``
        """
        if not any(instance is row for row in self.rows):
            raise ValueError(f'{instance.uuid} is not of this claim')
        return dataclasses.replace(self, instance=instance,
                                   whole=self.whole or self)

    def ensure_live(self):
        """Refuse to go on once the claim was settled or released.

        :raises computed.exception.ClaimNotLive: it was
        """
        if not (self.whole or self).live:
            raise exception.ClaimNotLive(
                claim_id=self.claim_id, uuid=self.uuid)

    def end(self):
        """From now on nothing may be done under it."""
        (self.whole or self).live = False

    def ensure_ours(self, owner):
        """Refuse a guest that carries another mark, or none.

        :param mark: what the guest carries, a :class:`Mark` or ``None``
        :raises computed.exception.ForeignGuest: it is not ours
        """
        if owner != self.owner:
            raise exception.ForeignGuest(
                uuid=self.uuid,
                owner='nobody' if owner is None else
                f'host {owner.host} of database {owner.database_id}')
