"""The heartbeats of conductors, by which they measure replicas.

These functions run in a transaction on the primary.
"""

import dataclasses
import datetime
import functools
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed.db.engine import dialects
from computed.db.engine import prepared
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
    connection, values = context.connection, {'heartbeat': number}
    changed = connection.execute(
        _updating(), {'the_conductor_id': conductor_id, **values})
    if not changed.rowcount:
        connection.execute(
            _inserting(), {'conductor_id': conductor_id, **values})
    known = connection.execute(
        _selecting(server_sql.identity(connection.engine))).all()
    transaction.ensure_undivided(context, known[0].server)
    now = known[0].now.replace(tzinfo=datetime.UTC).timestamp()
    return Reply(incarnation.current(context),
                 {row.conductor_id: row.heartbeat for row in known}, now)


@functools.cache
def _updating() -> sa.Update:
    return (sa.update(TABLE)
            .where(ROW.conductor_id == prepared.value('conductor_id'))
            .values(sent_at=dialects.utcnow()))


@functools.cache
def _inserting() -> sa.Insert:
    return sa.insert(TABLE).values(sent_at=dialects.utcnow())


@functools.lru_cache
def _selecting(server: str) -> sa.Select:
    return sa.select(ROW.conductor_id, ROW.heartbeat,
                     dialects.exact_utcnow().label('now'),
                     sa.literal_column(server).label('server'))


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
