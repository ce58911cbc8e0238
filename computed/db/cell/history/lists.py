"""Read the action log, the newest rows first."""

import datetime
import typing

import sqlalchemy as sa

from computed import context as computed_context
from computed import files
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.engine import dialects
from computed.db.engine import pages

# The most rows that one transaction deletes.
AT_ONCE = 1000
_EVENT = models.Event


@cell.read
def of_instance(context: computed_context.RequestContext, name: str,
                since: datetime.datetime | None, limit: int | None,
                marker: str | None) -> pages.Page:
    """Return a page of what was done to an instance, also to a deleted one.

    :param name: its uuid in the usual form, or a name that it had. Several
        instances can have had the same name.
    :param since: nothing that began before; None: all
    :param limit: see :func:`computed.db.engine.pages.read`
    """
    column = _EVENT.uuid if files.is_uuid(name) else _EVENT.name
    return _read(context, since, limit, marker, column == name)


@cell.read
def of_host(context: computed_context.RequestContext, host: str | None,
            since: datetime.datetime | None, limit: int | None,
            marker: str | None) -> pages.Page:
    """Return a page of what was done on a host, to it, or to all hosts.

    :param host: None: only what was done to all hosts
    """
    return _read(context, since, limit, marker, _EVENT.host == host)


def _read(context: computed_context.RequestContext,
          since: datetime.datetime | None, limit: int | None,
          marker: str | None, *conditions: typing.Any) -> pages.Page:
    query = sa.select(_EVENT).where(*conditions)
    if since is not None:
        query = query.where(_EVENT.began_at >= since)
    return pages.read_newest(context.connection, query, _EVENT.id, limit,
                             marker, cell.max_page())


def purge(context: computed_context.RequestContext,
          kept: datetime.timedelta) -> int:
    """Delete the rows of acts that ended long ago, in small transactions.

    :param kept: for how long a row is kept, by the clock of the database
    :returns: how many rows were deleted
    """
    done = 0
    while deleted := _purge(context, kept):
        done += deleted
    return done


@cell.write
def _purge(context: computed_context.RequestContext,
           kept: datetime.timedelta) -> int:
    """Delete the oldest of these rows, at most ``AT_ONCE``."""
    row, connection = _EVENT, context.connection
    # Rows are numbered as they begin: so no more of them need be looked at.
    oldest = connection.execute(
        sa.select(row.id, row.ended_at, dialects.utcnow().label('now'))
        .where(row.ended_at.is_not(None))
        .order_by(row.id).limit(AT_ONCE)).all()
    old = [one.id for one in oldest if one.now - one.ended_at > kept]
    if not old:
        cell.undo(context)
        return 0
    return connection.execute(sa.delete(row).where(row.id.in_(old))).rowcount
