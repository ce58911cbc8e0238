"""Heartbeats of conductors, by which replicas are measured."""

import dataclasses

import sqlalchemy as sa

from computed.db.engine import dialects
from computed.db.engine import server_sql
from computed.db.routing import incarnation
from computed.db.routing import tables
from computed.db.routing import transaction

# A conductor silent for so long is dead; its row is of no use.
DEAD_AFTER = 3600
# One silent for so long, and for three beats, has no part in the budget.
LIVE_FOR = 10
TABLE = tables.replica_heartbeats
ROW = TABLE.c


@dataclasses.dataclass(frozen=True)
class Taken:
    """What is learned when a beat was taken.

    :ivar incarnation: the present life of the database
    :ivar conductors: how many measure its replicas
    """

    incarnation: str
    conductors: int


def send(context, conductor_id, number, interval=0):
    """Write the newest beat of this conductor.

    :param interval: seconds between two beats, of every conductor
    :rtype: Taken
    """
    values = {'heartbeat': number, 'sent_at': dialects.utcnow()}
    changed = context.session.execute(
        sa.update(TABLE).where(ROW.conductor_id == conductor_id)
        .values(**values))
    if not changed.rowcount:
        context.session.execute(
            sa.insert(TABLE).values(conductor_id=conductor_id, **values))
    beaten = context.session.execute(
        sa.select(ROW.sent_at, dialects.utcnow(),
                  server_sql.column(context.session))).all()
    transaction.ensure_undivided(context, beaten[0].server)
    live_for = max(LIVE_FOR, 3 * interval)
    return Taken(incarnation.current(context), sum(
        abs((now - at).total_seconds()) < live_for for at, now, _ in beaten))


def purge(context, conductor_id):
    """Remove the rows of conductors that have ended."""
    now = context.session.scalar(sa.select(dialects.utcnow()))
    dead = [found.conductor_id for found in context.session.execute(
        sa.select(ROW.conductor_id, ROW.sent_at)
        .where(ROW.conductor_id != conductor_id))
        if (now - found.sent_at).total_seconds() > DEAD_AFTER]
    if dead:
        context.session.execute(
            sa.delete(TABLE).where(ROW.conductor_id.in_(dead)))
