"""Delete the rows of instances that were deleted long ago, and old audits.

``computed-manage db purge`` opens the database itself. A row goes only if no
task needs it any more, and that is a condition of the statement that deletes
it: what changes after the look stays. No list of a host has such rows, and no
claim rests on them, so no revision is raised.

The action log has a time of its own, ``[conductor] event_retention``.
"""

import dataclasses
import datetime

import sqlalchemy as sa
from oslo_db import api as oslo_db_api

from computed.db.cell import audits
from computed.db.cell import models
from computed.db.cell.storage import tables
from computed.db.engine import address
from computed.db.engine import dialects
from computed.db.engine import setup

# The most instances that one transaction deletes.
AT_ONCE = 500
# How often a transaction is tried that loses against another one.
TRIES = 5
# What goes with an instance.
_PARTS = ((tables.BandwidthUsage, tables.BandwidthUsage.uuid),
          (tables.VolumeUsage, tables.VolumeUsage.instance_uuid))
_ROW = models.Instance
# When the instance and its guest were gone.
_END = sa.case((_ROW.terminated_at > _ROW.deleted_at, _ROW.terminated_at),
               else_=_ROW.deleted_at)
PURGED, AUDITS = 'purged', 'purged_audits'


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is old enough; all times are those of the database.

    :ivar before: when it must have been gone
    :ivar reported: the begin of the last period of accounting that is over
    :ivar made_up: the begin of the first period that a host may make up for
    :ivar failed: whether rows go of which files are left for good
    """

    before: datetime.datetime
    reported: datetime.datetime
    made_up: datetime.datetime
    failed: bool = False


def now(engine: sa.Engine) -> datetime.datetime:
    """Return the time of the database, in UTC, naive."""
    with engine.connect() as connection:
        return connection.execute(sa.select(dialects.utcnow())).scalar_one()


def opened(url: address.Url) -> sa.Engine:
    """Return an engine for the functions here; the caller disposes of it."""
    engine = setup.single(address.prepare(url))
    setup.tune(engine, must_exist=True)
    return engine


def _kept(limits: Limits) -> dict[str, sa.ColumnElement[bool]]:
    """Return the reasons to keep a deleted row, the first that holds counts.
    """
    audit = tables.UsageAudit
    newest = (sa.select(sa.func.max(audit.period_ending))
              .where(audit.host == _ROW.host).scalar_subquery())
    running = sa.exists().where(
        audit.host == _ROW.host, audit.state == audits.RUNNING,
        audit.period_beginning < _END)
    files = _ROW.cleaned == sa.false()
    return {
        'claimed': sa.or_(_ROW.claim_id.is_not(None),
                          _ROW.task_state.is_not(None)),
        'guest_left': _ROW.guest_left == sa.true(),
        'files_left': sa.and_(files, _ROW.clean_failed == sa.false())
        if limits.failed else files,
        'younger': sa.or_(_END.is_(None), limits.before <= _END),
        'usage': sa.or_(limits.reported < _END, running, sa.and_(
            limits.made_up < _END, newest < _END))}


def figures(engine: sa.Engine, limits: Limits) -> dict[str, int]:
    """Return how many deleted rows would go, and how many stay and why."""
    kept = _kept(limits)
    reason = sa.case(*((condition, sa.literal(name))
                       for name, condition in kept.items()),
                     else_=sa.literal(PURGED)).label('reason')
    each = (sa.select(reason).where(_ROW.deleted == sa.true()).subquery())
    with engine.connect() as connection:
        found = connection.execute(
            sa.select(each.c.reason, sa.func.count().label('rows'))
            .group_by(each.c.reason))
        return {**dict.fromkeys((PURGED, *kept), 0),
                **{row.reason: row.rows for row in found},
                AUDITS: connection.execute(
                    sa.select(sa.func.count()).where(*_old_audits(limits))
                ).scalar_one()}


def _old_audits(limits: Limits) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions of audits that no host looks for any more."""
    audit = tables.UsageAudit
    return (audit.state != audits.RUNNING,
            audit.period_ending < min(limits.before, limits.made_up))


def purge_audits(engine: sa.Engine, limits: Limits) -> int:
    """Delete old audits, those of one host in each transaction.

    :returns: how many
    """
    old, host = _old_audits(limits), tables.UsageAudit.host
    with engine.connect() as connection:
        hosts = connection.scalars(sa.select(host).distinct().where(*old)
                                   ).all()
    return sum(_delete_audits(engine, (host == one, *old)) for one in hosts)


@oslo_db_api.wrap_db_retry(max_retries=TRIES, retry_on_deadlock=True)
def _delete_audits(engine: sa.Engine,
                   which: tuple[sa.ColumnElement[bool], ...]) -> int:
    with engine.begin() as connection:
        return connection.execute(
            sa.delete(tables.UsageAudit).where(*which)).rowcount


def purge(engine: sa.Engine, limits: Limits) -> int:
    """Delete the rows that may go, in small transactions.

    A repeat after any end goes on with what is left.

    :returns: how many instances were deleted
    """
    done, beyond = 0, ''
    may_go = (_ROW.deleted == sa.true(),
              *(sa.not_(sa.func.coalesce(condition, sa.false()))
                for condition in _kept(limits).values()))
    while True:
        with engine.connect() as connection:
            uuids = connection.scalars(
                sa.select(_ROW.uuid).where(_ROW.uuid > beyond, *may_go)
                .order_by(_ROW.uuid).limit(AT_ONCE)).all()
        if not uuids:
            return done
        done += _delete(engine, list(uuids), may_go)
        beyond = uuids[-1]


@oslo_db_api.wrap_db_retry(max_retries=TRIES, retry_on_deadlock=True)
def _delete(engine: sa.Engine, uuids: list[str],
            may_go: tuple[sa.ColumnElement[bool], ...]) -> int:
    """Delete those of the rows that may still go, with all that is theirs."""
    with engine.begin() as connection:
        done = connection.execute(
            sa.delete(_ROW).where(_ROW.uuid.in_(uuids), *may_go)).rowcount
        left = connection.scalars(
            sa.select(_ROW.uuid).where(_ROW.uuid.in_(uuids))).all()
        gone = sorted({*uuids} - {*left})
        for model, column in _PARTS:
            connection.execute(sa.delete(model).where(column.in_(gone)))
    return done
