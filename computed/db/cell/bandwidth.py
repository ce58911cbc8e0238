"""Queries on the traffic of interfaces."""

import calendar
import datetime
import operator
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.cell.storage import tables
from computed.db.engine import pages
from computed.db.engine import upsert


def _moment(seconds: float) -> datetime.datetime:
    """Return a time (seconds since 1970) in the form of the database."""
    return datetime.datetime.fromtimestamp(
        seconds, datetime.UTC).replace(tzinfo=None)


@cell.read
def get_by_uuids(context: computed_context.RequestContext,
                 uuids: list[str], periods: list[float]
                 ) -> tuple[list[tables.BandwidthUsage],
                            dict[str, int | None]]:
    """Return the rows of these instances in these periods.

    It is one statement.

    :param periods: starts of periods, seconds since 1970
    :returns: the rows, and ``{uuid: last launch}`` of the instances that
        exist, in seconds since 1970 or None
    """
    usage, instance = tables.BandwidthUsage, models.Instance
    query = (sa.select(instance.uuid.label('instance'), instance.launched_at,
                       usage)
             .outerjoin(usage, sa.and_(
                 usage.uuid == instance.uuid,
                 usage.start_period.in_([_moment(start)
                                         for start in periods])))
             .where(instance.uuid.in_(uuids)))
    rows: list[typing.Any] = []
    launched: dict[str, int | None] = {}
    for row in context.connection.execute(query):
        launched[row.instance] = (
            calendar.timegm(row.launched_at.timetuple())
            if isinstance(row.launched_at, datetime.datetime) else None)
        if row.uuid is not None:
            rows.append(row)
    return rows, launched


@cell.read
def get_by_uuid(context: computed_context.RequestContext, uuid: str,
                limit: int) -> abc.Sequence[tables.BandwidthUsage]:
    """Return the newest rows of one instance, the newest period first.

    :param limit: the most rows to return, within ``[conductor] max_page``
    :raises computed.exception.InvalidLimit: it is below 1
    """
    row = tables.BandwidthUsage
    return context.connection.execute(
        sa.select(row).where(row.uuid == uuid)
        .order_by(row.start_period.desc(), row.mac_address)
        .limit(pages.length(limit, cell.max_page()))).all()


@cell.write
def record(context: computed_context.RequestContext,
           rows: abc.Iterable[abc.Mapping[str, typing.Any]]) -> None:
    """Write rows in one statement; an older row never replaces a newer one.

    :param rows: ``[{column: value}]``, with all columns; ``start_period`` in
        seconds since 1970
    :raises computed.exception.InvalidValue: a value does not fit
    """
    newest: dict[tuple, dict[str, typing.Any]] = {}
    for one in sorted(rows, key=operator.itemgetter('last_refreshed')):
        row = {**one, 'start_period': _moment(one['start_period'])}
        bounds.ensure_fit(tables.BandwidthUsage, row)
        # PostgreSQL refuses a statement that has a row twice.
        newest[row['uuid'], row['mac_address'], row['start_period']] = row
    if newest:
        context.connection.execute(upsert.newer(
            context.connection.dialect.name,
            tables.BandwidthUsage.__table__, [*newest.values()],
            'last_refreshed'))
