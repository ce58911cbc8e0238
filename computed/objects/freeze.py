"""Freezes: hosts on which no act may begin."""

from oslo_versionedobjects import fields

from computed.db import cell as db
from computed.objects import base


@base.registry.register
class Freeze(base.ComputedObject):
    """No claim is granted; what was begun is finished.

    ``scope`` names the host, or all, for people.
    """

    VERSION = '1.0'

    fields = {
        'scope': fields.StringField(),
        'reason': fields.StringField(),
        'by': fields.StringField(),
        'since': fields.StringField(),
    }

    @classmethod
    def of(cls, context, row):
        """From a :class:`computed.db.cell.models.Freeze`."""
        self = cls(context, **db.freeze.described(row))
        self.obj_reset_changes()
        return self

    @classmethod
    @base.remotable
    def impose(cls, context, host, reason, by):
        """See :func:`computed.db.cell.freeze.impose`."""
        return cls.of(context, db.freeze.impose(context, host, reason, by))

    @classmethod
    @base.remotable
    def lift(cls, context, host):
        """See :func:`computed.db.cell.freeze.lift`."""
        return db.freeze.lift(context, host)
