"""Freezes: hosts on which no claim is granted."""

import typing

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base


@base.registry.register
class Freeze(base.ComputedObject):
    """A freeze: no claim is granted; work that has begun continues.

    ``scope`` is the host, or all hosts, as a text for people. ``freeze_id``
    is new with each request to freeze.
    """

    VERSION = '1.0'

    fields = {
        'scope': fields.StringField(),
        'reason': fields.StringField(),
        'by': fields.StringField(),
        'since': fields.StringField(),
        'freeze_id': fields.StringField(),
    }

    @classmethod
    def of(cls, context: computed_context.RequestContext,
           row: 'db.models.Freeze') -> typing.Self:
        """Make the object of a row."""
        self = cls(context, freeze_id=row.freeze_id,
                   **db.freeze.described(row))
        self.obj_reset_changes()
        return self

    @classmethod
    @base.remotable
    def impose(cls, context: computed_context.RequestContext,
               host: str | None, reason: str, by: str,
               freeze_id: arguments.Uuid) -> typing.Self:
        """See :func:`computed.db.cell.freeze.impose`."""
        return cls.of(context, db.freeze.impose(
            context, host, reason, by, freeze_id))

    @base.remotable_read
    def get_by_host(cls, context: computed_context.RequestContext,
                    host: str | None) -> 'Freeze | None':
        """See :func:`computed.db.cell.freeze.get`."""
        found = db.freeze.get(context, host)
        return None if found is None else cls.of(context, found)

    @classmethod
    @base.remotable
    def lift(cls, context: computed_context.RequestContext,
             host: str | None, freeze_id: str) -> bool:
        """See :func:`computed.db.cell.freeze.lift`."""
        return db.freeze.lift(context, host, freeze_id)
