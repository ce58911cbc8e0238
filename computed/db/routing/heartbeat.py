"""The heartbeats of conductors, by which they measure replicas.

These functions run in a transaction on the primary.
"""

import dataclasses

import sqlalchemy as sa

from computed import context as computed_context
from computed.db.engine import dialects
from computed.db.engine import server_sql
from computed.db.routing import incarnation
from computed.db.routing import tables
from computed.db.routing import transaction

# Seconds of silence after which a conductor is dead and its row is removed.
DEAD_AFTER = 3600
# Seconds of silence, but at least three heartbeats, after which a conductor
# has no part in the budget.
LIVE_FOR = 10

TABLE = tables.replica_heartbeats
ROW = TABLE.c


@dataclasses.dataclass(frozen=True)
class Reply:
    """The answer of the primary to a heartbeat.

    :ivar incarnation: the current one of the database
    :ivar conductors: how many conductors measure its replicas
    """

    incarnation: str
    conductors: int


def send(context: computed_context.RequestContext, conductor_id: str,
         number: int, interval: float = 0) -> Reply:
    """Write the newest heartbeat of this conductor.

    :param interval: seconds between two heartbeats of any conductor
    :raises computed.db.routing.transaction.Divided: a proxy splits reads from
        writes
    """
    values = {'heartbeat': number, 'sent_at': dialects.utcnow()}
    changed = context.session.execute(
        sa.update(TABLE).where(ROW.conductor_id == conductor_id)
        .values(**values))
    if not changed.rowcount:
        context.session.execute(
            sa.insert(TABLE).values(conductor_id=conductor_id, **values))
    known = context.session.execute(
        sa.select(ROW.sent_at, dialects.utcnow(),
                  server_sql.column(context.session))).all()
    transaction.ensure_undivided(context, known[0].server)
    live_for = max(LIVE_FOR, 3 * interval)
    return Reply(incarnation.current(context), sum(
        abs((now - sent_at).total_seconds()) < live_for
        for sent_at, now, _ in known))


def purge(context: computed_context.RequestContext,
          conductor_id: str) -> None:
    """Remove the rows of conductors that are dead.

    :param conductor_id: the id of this conductor; its row stays
    """
    now = context.session.scalar(sa.select(dialects.utcnow()))
    dead = [found.conductor_id for found in context.session.execute(
        sa.select(ROW.conductor_id, ROW.sent_at)
        .where(ROW.conductor_id != conductor_id))
        if (now - found.sent_at).total_seconds() > DEAD_AFTER]
    if dead:
        context.session.execute(
            sa.delete(TABLE).where(ROW.conductor_id.in_(dead)))
