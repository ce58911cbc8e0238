"""The right to act on one instance: a value, and who may hold it.

A leaf module, so that ``virt`` can demand a claim without knowing how one is
won. Only ``computed.claims`` makes one; the lint step checks that.
"""

import dataclasses
import typing

from computed import exception


@dataclasses.dataclass(frozen=True)
class Mark:
    """Whose guest this is: the database and the host that made it.

    Each guest carries one. A guest with another mark is listed, and never
    touched: it belongs to somebody whose records we do not see.
    """

    database_id: str
    host: str


@dataclasses.dataclass
class Claim:
    """Leave, given by the primary, to act on one instance.

    :ivar claim_id: drawn by the host before it asks, so that a repeated
        request is granted once
    :ivar operation: what it is for, for logs and the journal
    :ivar instance: the fresh row the grant returned; while the claim is
        held, the only facts to go by
    :ivar mark: whose guests may be touched under this claim
    """

    claim_id: str
    operation: str
    instance: typing.Any
    mark: Mark
    live: bool = True

    @property
    def uuid(self):
        """The uuid of the instance that may be acted on."""
        return self.instance.uuid

    def ensure_live(self):
        """Refuse to go on once the claim was settled or released.

        :raises computed.exception.ClaimNotLive: it was
        """
        if not self.live:
            raise exception.ClaimNotLive(
                claim_id=self.claim_id, uuid=self.uuid)

    def ensure_ours(self, mark):
        """Refuse a guest that carries another mark, or none.

        :param mark: what the guest carries, a :class:`Mark` or ``None``
        :raises computed.exception.ForeignGuest: it is not ours
        """
        if mark != self.mark:
            raise exception.ForeignGuest(
                uuid=self.uuid,
                owner='nobody' if mark is None else
                f'host {mark.host} of database {mark.database_id}')
