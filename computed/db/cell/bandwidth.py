"""Queries on the bytes that interfaces have carried."""

import calendar
import datetime

import sqlalchemy as sa

from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.engine import upsert


def _moment(seconds):
    """Seconds since 1970 as the database keeps them."""
    return datetime.datetime.fromtimestamp(
        seconds, datetime.UTC).replace(tzinfo=None)


@cell.read
def get_by_uuids(context, uuids, periods):
    """The rows of these instances in these periods, in one statement.

    :param periods: starts of periods, seconds since 1970
    :returns: the rows; and ``{uuid: seconds since 1970}``, when each of the
        instances that exist was last launched, None for never
    """
    usage, instance = models.BandwidthUsage, models.Instance
    query = (sa.select(instance.uuid, instance.launched_at, usage)
             .outerjoin(usage, sa.and_(
                 usage.uuid == instance.uuid,
                 usage.start_period.in_([_moment(start)
                                         for start in periods])))
             .where(instance.uuid.in_(uuids)))
    rows, launched = [], {}
    for uuid, launched_at, row in context.session.execute(query):
        launched[uuid] = launched_at and calendar.timegm(
            launched_at.timetuple())
        if row is not None:
            rows.append(row)
    return rows, launched


@cell.read
def get_by_uuid(context, uuid, limit):
    """The newest rows of one instance, the newest period first."""
    row = models.BandwidthUsage
    return context.session.scalars(
        sa.select(row).where(row.uuid == uuid)
        .order_by(row.start_period.desc(), row.mac_address)
        .limit(limit)).all()


@cell.write
def record(context, rows):
    """Write rows in one statement; an older one never replaces a newer.

    :param rows: ``[{column: value}]``; ``start_period`` in seconds since
        1970
    """
    context.session.execute(upsert.newer(
        context.session.get_bind().dialect.name,
        models.BandwidthUsage.__table__,
        [{**row, 'start_period': _moment(row['start_period'])}
         for row in rows], 'last_refreshed'))
