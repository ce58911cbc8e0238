"""The heartbeats of conductors, by which they measure replicas.

These functions run in a transaction on the primary.
"""

import dataclasses
import datetime
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed.db.engine import dialects
from computed.db.engine import server_sql
from computed.db.routing import incarnation
from computed.db.routing import tables
from computed.db.routing import transaction

TABLE = tables.replica_heartbeats
ROW = TABLE.c


@dataclasses.dataclass(frozen=True)
class Reply:
    """The answer of the primary to a heartbeat.

    :ivar incarnation: the current one of the database
    :ivar shown: ``{id of a conductor: its newest heartbeat}``
    :ivar time: seconds that the clock of the primary showed. Only the time
        between two replies means anything.
    """

    incarnation: str
    shown: dict[str, int]
    time: float


def send(context: computed_context.RequestContext, conductor_id: str,
         number: int) -> Reply:
    """Write the newest heartbeat of this conductor.

    :raises computed.db.routing.transaction.Divided: a proxy splits reads from
        writes
    """
    values = {'heartbeat': number, 'sent_at': dialects.utcnow()}
    changed = context.connection.execute(
        sa.update(TABLE).where(ROW.conductor_id == conductor_id)
        .values(**values))
    if not changed.rowcount:
        context.connection.execute(
            sa.insert(TABLE).values(conductor_id=conductor_id, **values))
    known = context.connection.execute(
        sa.select(ROW.conductor_id, ROW.heartbeat,
                  dialects.exact_utcnow().label('now'),
                  server_sql.column(context.connection))).all()
    transaction.ensure_undivided(context, known[0].server)
    now = known[0].now.replace(tzinfo=datetime.UTC).timestamp()
    return Reply(incarnation.current(context),
                 {row.conductor_id: row.heartbeat for row in known}, now)


def purge(context: computed_context.RequestContext,
          dead: abc.Mapping[str, int]) -> None:
    """Remove the rows of conductors that are dead.

    :param dead: ``{id of a conductor: heartbeat}``; a row with another
        heartbeat stays
    """
    for conductor_id, heartbeat in dead.items():
        context.connection.execute(
            sa.delete(TABLE).where(ROW.conductor_id == conductor_id,
                                   ROW.heartbeat == heartbeat))
