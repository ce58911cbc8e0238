"""The tokens that admit to consoles."""

import typing

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base


@base.registry.register
class ConsoleToken(base.ComputedObject):
    """A token: to whose console it admits, and until when.

    The token itself is known to nobody but its user; it never travels.
    """

    VERSION = '1.0'

    fields = {
        'uuid': fields.StringField(),
        'name': fields.StringField(),
        'host': fields.StringField(),
        'expires': fields.DateTimeField(),
        'damaged': fields.ListOfStringsField(),
    }

    @classmethod
    @base.remotable
    def create(cls, context: computed_context.RequestContext,
               uuid: arguments.Uuid, token_hash: arguments.Sha256,
               ttl: arguments.Ttl) -> typing.Self:
        """See :func:`computed.db.cell.console_tokens.create`."""
        return cls.from_row(context, db.console_tokens.create(
            context, uuid, token_hash, ttl))

    @base.remotable_read
    def get_by_hash(cls, context: computed_context.RequestContext,
                    token_hash: arguments.Sha256) -> 'ConsoleToken | None':
        """See :func:`computed.db.cell.console_tokens.get`."""
        found = db.console_tokens.get(context, token_hash)
        return None if found is None else cls.from_row(context, found)

    @base.remotable_read
    def get_expired(cls, context: computed_context.RequestContext,
                    host: str) -> bool:
        """See :func:`computed.db.cell.console_tokens.has_expired`."""
        return db.console_tokens.has_expired(context, host)

    @classmethod
    @base.remotable
    def delete_expired(cls, context: computed_context.RequestContext,
                       host: str) -> int:
        """See :func:`computed.db.cell.console_tokens.delete_expired`."""
        return db.console_tokens.delete_expired(context, host)
