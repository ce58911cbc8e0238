"""The database of a cell: ``@cell.read``, ``@cell.write``, its identity."""

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import models
from computed.db.routing import database

cell = database.Database('cell')


@cell.read
def get_id(context: computed_context.RequestContext) -> str | None:
    """Return the uuid of the database, drawn when its schema was created."""
    return context.connection.scalar(sa.select(models.DatabaseIdentity.uuid))


def ensure_here(context: computed_context.RequestContext,
                database_id: str) -> None:
    """Refuse as :func:`ensure_is`, by what the open transaction shows.

    :raises computed.exception.WrongDatabase: this is not ``database_id``
    """
    found = context.connection.scalar(sa.select(models.DatabaseIdentity.uuid))
    if found != database_id:
        raise exception.WrongDatabase(expected=database_id, found=found)


def ensure_is(context: computed_context.RequestContext,
              database_id: str) -> None:
    """Refuse a caller that belongs to another database.

    :raises computed.exception.WrongDatabase: this is not ``database_id``
    """
    found = cell.database_id
    if found != database_id:
        raise exception.WrongDatabase(expected=database_id, found=found)
