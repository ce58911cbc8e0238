"""Claims as they travel: what is asked of the primary, and the rows it gives.
"""

from oslo_versionedobjects import fields

from computed.db import cell as db
from computed.objects import base
from computed.objects import instance as instance_obj


@base.registry.register
class Grant(base.ComputedObject):
    """The rows that were claimed, or that a claim was settled on.

    Only :mod:`computed.claims` asks for one. Another kind of rows than
    instances gets a list of its own.
    """

    VERSION = '1.0'

    fields = {
        'instances': fields.ListOfObjectsField('Instance'),
        # Of the host, if the claim rests on the absence of an instance.
        'revision': fields.IntegerField(nullable=True),
    }

    @classmethod
    def _of(cls, context, rows, revision=None):
        return cls(context, revision=revision, instances=[
            instance_obj.Instance.from_row(context, row) for row in rows
            if row is not None])

    @classmethod
    @base.remotable
    def grant_claim(cls, context, database_id, claim_id, owner, operation,
                    wanted):
        """See :func:`computed.db.cell.claim.grant`.

        :raises computed.exception.WrongDatabase: it is not ``database_id``
        """
        db.identity.ensure_is(context, database_id)
        return cls._of(context, db.claim.grant(
            context, claim_id, owner, operation, wanted))

    @classmethod
    @base.remotable
    def grant_guest_claim(cls, context, database_id, claim_id, owner,
                          operation, uuid, host, listed):
        """See :func:`computed.db.cell.guest_claim.grant`.

        :raises computed.exception.WrongDatabase: it is not ``database_id``
        """
        db.identity.ensure_is(context, database_id)
        return cls._of(context, (), db.guest_claim.grant(
            context, uuid, host, listed, claim_id, owner, operation))

    @classmethod
    @base.remotable
    def settle_claim(cls, context, claim_id, rows):
        """See :func:`computed.db.cell.claim.settle`."""
        return cls._of(context, db.claim.settle(context, claim_id, rows))

    @classmethod
    @base.remotable
    def settle_guest_claim(cls, context, claim_id, uuid):
        """See :func:`computed.db.cell.guest_claim.settle`."""
        return db.guest_claim.settle(context, uuid, claim_id)

    @classmethod
    @base.remotable
    def adopt_claim(cls, context, uuid, old_claim_id, service_id, claim_id,
                    owner):
        """See :func:`computed.db.cell.claim.adopt`."""
        return cls._of(context, db.claim.adopt(
            context, uuid, old_claim_id, service_id, claim_id, owner))

    @base.remotable_read
    def get_guest_claims(cls, context, service_id):
        """See :func:`computed.db.cell.guest_claim.get_all_of`."""
        return db.guest_claim.get_all_of(context, service_id)
