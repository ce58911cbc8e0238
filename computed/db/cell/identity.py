"""Which database this is."""

import sqlalchemy as sa

from computed import exception
from computed.db.cell import models
from computed.db.cell.database import cell


@cell.read
def get_id(context):
    """The uuid drawn when the schema was made."""
    return context.session.scalar(sa.select(models.Database.uuid))


def ensure_is(context, database_id):
    """Refuse a caller whose records are in another database.

    :raises computed.exception.WrongDatabase: they are
    """
    found = cell.database_id
    if found != database_id:
        raise exception.WrongDatabase(expected=database_id, found=found)
