"""Claims that are held, for operators."""

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed.db import cell as db
from computed.objects import base


@base.registry.register
class HeldClaim(base.ComputedObject):
    """One row that is claimed.

    See :class:`computed.db.cell.claims.held.Held`.
    """

    VERSION = '1.0'

    fields = {
        'claim_id': fields.StringField(),
        'kind': fields.StringField(),
        'key': fields.StringField(),
        'host': fields.StringField(nullable=True),
        'owner': fields.StringField(),
        'claimed_at': fields.DateTimeField(),
        'registered': fields.BooleanField(),
        'silent_for': fields.FloatField(nullable=True),
        'damaged': fields.ListOfStringsField(),
    }


@base.registry.register
class HeldClaimList(base.ObjectListBase, base.ComputedObject):
    """Rows that are claimed, those of the oldest claims first."""

    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('HeldClaim')}

    @classmethod
    def _from_rows(cls, context: computed_context.RequestContext,
                   rows: 'list[db.claims.held.Held]') -> 'HeldClaimList':
        self = cls(context, objects=[
            HeldClaim.from_row(context, row) for row in rows])
        self.obj_reset_changes()
        return self

    @base.remotable_read
    def get_all(cls, context: computed_context.RequestContext,
                limit: int) -> 'HeldClaimList':
        """See :func:`computed.db.cell.claims.held.get_all`."""
        return cls._from_rows(context, db.claims.held.get_all(context, limit))

    @classmethod
    @base.remotable
    def release(cls, context: computed_context.RequestContext,
                claim_id: str, by: str) -> 'HeldClaimList':
        """See :func:`computed.db.cell.claims.held.release`.

        :param claim_id: any text: a damaged id must be releasable too
        :returns: the rows that are free now
        :raises computed.exception.ClaimNotFound: nobody holds this claim
        :raises computed.exception.ClaimHolderAlive: its holder may be alive
        """
        return cls._from_rows(
            context, db.claims.held.release(context, claim_id, by))
