"""Queries on audits of usage: who is to be reported, and how far that is.

An audit is of one host and one period. It walks over the instances by uuid,
and its row says where it is. Two that walk at the same time report the same
instances under the same keys, and only one of them writes.
"""

import datetime
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.conf import audit_period
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.cell.storage import tables
from computed.db.engine import dialects

Context = computed_context.RequestContext

RUNNING, DONE, FAILED = 'running', 'done', 'failed'
# The most audits of a host, and retired hosts, that one answer has.
RECENT = 100
_AUDIT, _INSTANCE = tables.UsageAudit, models.Instance
_NOW = dialects.utcnow()


class Period(typing.NamedTuple):
    """From when to when, in UTC; naive, as the database has it."""

    begin: datetime.datetime
    end: datetime.datetime


def period(begin: float, end: float) -> Period:
    """Return the period between two times in seconds since 1970."""
    return Period(*(datetime.datetime.fromtimestamp(
        seconds, datetime.UTC).replace(tzinfo=None)
        for seconds in (begin, end)))


@cell.read
def get_recent(context: Context, host: str) -> list[typing.Any]:
    """Return the audits of a host, the newest periods first."""
    return list(context.connection.execute(
        sa.select(_AUDIT, _NOW.label('now')).where(_AUDIT.host == host)
        .order_by(_AUDIT.period_ending.desc(),
                  _AUDIT.period_beginning.desc()).limit(RECENT)))


def _of(host: str, when: Period) -> tuple[sa.ColumnElement[bool], ...]:
    return (_AUDIT.host == host, _AUDIT.period_beginning == when.begin,
            _AUDIT.period_ending == when.end)


def _get(context: Context, host: str, when: Period) -> typing.Any:
    return context.connection.execute(
        sa.select(_AUDIT, _NOW.label('now')).where(*_of(host, when))
    ).one_or_none()


def begin(context: Context, host: str, when: Period) -> typing.Any:
    """Begin an audit, or go on with it; return its row.

    :raises computed.exception.NobodyTold: this conductor tells nobody
    :raises computed.exception.PeriodNotOver: by the clock of the database
    """
    if cell.deliver is None:
        raise exception.NobodyTold()
    try:
        return _begin(context, host, when)
    except exception.RowExists:     # another one was faster
        return _begin(context, host, when)


@cell.write
def _begin(context: Context, host: str, when: Period) -> typing.Any:
    found = _get(context, host, when)
    if found is not None:
        cell.undo(context)
        return found
    now = context.connection.scalar(sa.select(_NOW))
    early = audit_period.SETTLED - (now - when.end).total_seconds()
    if early > 0:
        raise exception.PeriodNotOver(
            end=f'{when.end:%Y-%m-%dT%H:%M:%SZ}', retry_after=early)
    values = {'host': host, 'period_beginning': when.begin,
              'period_ending': when.end, 'state': RUNNING, 'writes': 1,
              'attempt': 1, 'marker': '', 'reported': 0, 'unreported': ''}
    bounds.ensure_fit(_AUDIT, values)
    context.connection.execute(
        sa.insert(_AUDIT).values(began_at=_NOW), values)
    return _get(context, host, when)


@cell.write
def advance(context: Context, host: str, when: Period, writes: int,
            values: dict[str, typing.Any]) -> typing.Any:
    """Write how far an audit is now, and return its row.

    If it is not as the caller read it, another one has written, and this
    changes nothing.

    :param writes: as the caller read it
    :raises computed.exception.AuditLost: there is none, so the database has
        gone back in time
    """
    bounds.ensure_fit(_AUDIT, values)
    changed = context.connection.execute(
        sa.update(_AUDIT)
        .where(*_of(host, when), _AUDIT.writes == writes,
               _AUDIT.state == RUNNING)
        .values(**values, writes=writes + 1,
                ended_at=None if values['state'] == RUNNING else _NOW))
    found = _get(context, host, when)
    if found is None:
        raise exception.AuditLost(host=host, retry_after=1.0)
    if not changed.rowcount:
        cell.undo(context)
    return found


def _existed(when: Period) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions of instances that were there in a period.

    The end of an instance is its delete, which has one time. Its guest may
    be destroyed later, or again, when that period has been reported.
    """
    row = _INSTANCE
    return (sa.func.coalesce(row.first_launched_at, row.launched_at)
            < when.end,
            sa.or_(row.deleted == sa.false(), sa.func.coalesce(
                row.deleted_at, row.terminated_at) > when.begin))


@cell.read
def get_existing(context: Context, host: str, when: Period, beyond: str,
                 uuids: abc.Collection[str] | None, limit: int
                 ) -> tuple[list[typing.Any], dict[str, list[typing.Any]]]:
    """Return instances of a host in a period, by uuid, and their traffic.

    Deleted ones are among them.

    :param beyond: return only those with a higher uuid
    :param uuids: return only these; None: all
    :returns: rows, and ``{uuid: rows of its interfaces}``
    """
    row, usage = _INSTANCE, tables.BandwidthUsage
    query = sa.select(row).where(
        row.host == host, row.uuid > beyond, *_existed(when))
    if uuids is not None:
        query = query.where(row.uuid.in_(sorted(uuids)))
    found = list(context.connection.execute(
        query.order_by(row.uuid).limit(limit)))
    traffic: dict[str, list[typing.Any]] = {}
    if found:
        for one in context.connection.execute(
                sa.select(usage).where(
                    usage.uuid.in_([one.uuid for one in found]),
                    usage.start_period == when.begin)
                .order_by(usage.uuid, usage.mac_address)):
            traffic.setdefault(one.uuid, []).append(one)
    return found, traffic


@cell.read
def get_retired(context: Context, when: Period) -> list[str]:
    """Return hosts that are deleted, and whose audit is not done.

    Nobody but another host can do it.
    """
    row, ended = _INSTANCE, tables.UsageAudit
    return list(context.connection.scalars(
        sa.select(row.host).distinct().where(
            row.host.is_not(None), *_existed(when),
            ~sa.exists().where(models.Service.host == row.host),
            ~sa.exists().where(
                ended.host == row.host, ended.state != RUNNING,
                ended.period_beginning == when.begin,
                ended.period_ending == when.end))
        .order_by(row.host).limit(RECENT)))
