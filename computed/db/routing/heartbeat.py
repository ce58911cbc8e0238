"""Heartbeats of conductors, by which replicas are measured."""

import dataclasses

import sqlalchemy as sa

from computed.db.cell import models
from computed.db.engine import server_sql
from computed.db.routing import database as routing
from computed.db.routing import incarnation
from computed.db.routing import transaction

# A conductor silent for so long is dead; its row is of no use.
DEAD_AFTER = 3600
# One silent for so long, and for three beats, has no part in the budget.
LIVE_FOR = 10


@dataclasses.dataclass(frozen=True)
class Taken:
    """What is learned when a beat was taken.

    :ivar incarnation: the present life of the database
    :ivar conductors: how many measure its replicas
    """

    incarnation: str
    conductors: int


@routing.own_liveness
def send(context, conductor_id, number, interval=0):
    """Write the newest beat of this conductor.

    :param interval: seconds between two beats, of every conductor
    :rtype: Taken
    """
    row = models.ReplicaHeartbeat
    values = {'heartbeat': number, 'sent_at': models.utcnow()}
    changed = context.session.execute(
        sa.update(row).where(row.conductor_id == conductor_id)
        .values(**values).execution_options(synchronize_session=False))
    if not changed.rowcount:
        context.session.execute(
            sa.insert(row).values(conductor_id=conductor_id, **values))
    beaten = context.session.execute(
        sa.select(row.sent_at, models.utcnow(),
                  server_sql.column(context.session))).all()
    transaction.ensure_undivided(context, beaten[0].server)
    live_for = max(LIVE_FOR, 3 * interval)
    return Taken(incarnation.current(context), sum(
        abs((now - at).total_seconds()) < live_for for at, now, _ in beaten))


@routing.liveness
def purge(context, conductor_id):
    """Remove the rows of conductors that have ended."""
    row = models.ReplicaHeartbeat
    now = context.session.scalar(sa.select(models.utcnow()))
    dead = [found.conductor_id for found in context.session.scalars(
        sa.select(row).where(row.conductor_id != conductor_id))
        if (now - found.sent_at).total_seconds() > DEAD_AFTER]
    if dead:
        context.session.execute(
            sa.delete(row).where(row.conductor_id.in_(dead))
            .execution_options(synchronize_session=False))
