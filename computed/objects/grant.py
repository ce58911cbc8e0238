"""Claims as they travel: requests to the primary and the rows it returns."""

import typing

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base
from computed.objects import instance as instance_obj

# For each kind of rows: the field of Grant that has them, and their class.
# The same kinds as in computed.db.cell.claims.claim.
KINDS = {'instance': ('instances', instance_obj.Instance)}


@base.registry.register
class Grant(base.ComputedObject):
    """The rows of a claim, fresh after its grant or its settlement.

    Each kind of rows has a field of its own. Only :mod:`computed.claims`
    calls these methods.
    """

    VERSION = '1.0'

    fields = {
        'instances': fields.ListOfObjectsField('Instance'),
        # The host's revision, if the claim rests on an absent instance.
        'revision': fields.IntegerField(nullable=True),
    }

    @property
    def rows(self) -> list[base.ComputedObject]:
        """Return all rows: instances first, each kind as requested."""
        return [row for field, _ in KINDS.values()
                for row in getattr(self, field)]

    @classmethod
    def _of(cls, context: computed_context.RequestContext,
            rows: 'db.claims.claimed.Fresh',
            revision: int | None = None) -> typing.Self:
        """Make a Grant of rows of any kinds; leave out a row that is None."""
        lists: dict[str, list[base.ComputedObject]] = {
            field: [] for field, _ in KINDS.values()}
        for name, row in rows:
            if row is not None:
                field, kind = KINDS[name]
                lists[field].append(kind.from_row(context, row))
        return cls(context, revision=revision, **lists)

    @classmethod
    @base.remotable
    def grant_claim(cls, context: computed_context.RequestContext,
                    database_id: str, claim_id: arguments.Uuid,
                    owner: arguments.Owner, operation: str,
                    wanted: arguments.Wanted) -> typing.Self:
        """See :func:`computed.db.cell.claims.claim.grant`.

        :raises computed.exception.WrongDatabase: this is not
            ``database_id``
        """
        db.database.ensure_is(context, database_id)
        return cls._of(context, db.claims.claim.grant(
            context, claim_id, owner, operation, wanted))

    @classmethod
    @base.remotable
    def grant_guest_claim(cls, context: computed_context.RequestContext,
                          database_id: str, claim_id: arguments.Uuid,
                          owner: arguments.Owner, operation: str,
                          uuid: arguments.Uuid, host: str, listed: int
                          ) -> typing.Self:
        """See :func:`computed.db.cell.claims.guest_claim.grant`.

        :raises computed.exception.WrongDatabase: this is not
            ``database_id``
        """
        db.database.ensure_is(context, database_id)
        return cls._of(context, [], db.claims.guest_claim.grant(
            context, uuid, host, listed, claim_id, owner, operation))

    @classmethod
    @base.remotable
    def settle_claim(cls, context: computed_context.RequestContext,
                     claim_id: str, rows: arguments.Settled,
                     owner: arguments.Owner) -> typing.Self:
        """See :func:`computed.db.cell.claims.claim.settle`."""
        return cls._of(context, db.claims.claim.settle(
            context, claim_id, rows, owner))

    @classmethod
    @base.remotable
    def settle_guest_claim(cls, context: computed_context.RequestContext,
                           claim_id: str, uuid: str, owner: arguments.Owner,
                           acted: bool = False) -> bool:
        """See :func:`computed.db.cell.claims.guest_claim.settle`."""
        return db.claims.guest_claim.settle(
            context, uuid, claim_id, owner, acted)

    @classmethod
    @base.remotable
    def amend_claim(cls, context: computed_context.RequestContext,
                    claim_id: arguments.Uuid, owner: arguments.Owner,
                    operation: str, row: arguments.WantedRow) -> typing.Self:
        """See :func:`computed.db.cell.claims.amended.amend`."""
        return cls._of(context, db.claims.amended.amend(
            context, claim_id, owner, operation, row))

    @classmethod
    @base.remotable
    def adopt_claim(cls, context: computed_context.RequestContext,
                    uuid: str, old_claim_id: str,
                    service_id: arguments.DamagedId, claim_id: arguments.Uuid,
                    owner: arguments.Owner) -> typing.Self:
        """See :func:`computed.db.cell.claims.adoption.adopt`."""
        return cls._of(context, db.claims.adoption.adopt(
            context, uuid, old_claim_id, service_id, claim_id, owner))

    @base.remotable_read
    def get_guest_claims(cls, context: computed_context.RequestContext,
                         service_id: arguments.Uuid) -> dict[str, str]:
        """See :func:`computed.db.cell.claims.guest_claim.get_all_of`."""
        return db.claims.guest_claim.get_all_of(context, service_id)

    @base.remotable_read
    def get_former_guest_claims(
            cls, context: computed_context.RequestContext, host: str,
            service_id: arguments.Uuid) -> dict[str, str]:
        """See :func:`computed.db.cell.claims.guest_claim.get_former`."""
        return db.claims.guest_claim.get_former(context, host, service_id)
