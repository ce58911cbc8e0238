"""Heartbeats of conductors, by which replicas are measured."""

import sqlalchemy as sa

from computed.db import models
from computed.db import routing

# A conductor silent for so long is dead; its row is of no use.
DEAD_AFTER = 3600


@routing.liveness
def send(context, conductor_id, beat):
    """Write the newest beat of this conductor."""
    row = models.ReplicaBeat
    values = {'beat': beat, 'beaten_at': models.utcnow()}
    changed = context.session.execute(
        sa.update(row).where(row.conductor_id == conductor_id)
        .values(**values).execution_options(synchronize_session=False))
    if not changed.rowcount:
        context.session.execute(
            sa.insert(row).values(conductor_id=conductor_id, **values))


@routing.liveness
def purge(context, conductor_id):
    """Remove the rows of conductors that have ended."""
    row = models.ReplicaBeat
    now = context.session.scalar(sa.select(models.utcnow()))
    dead = [found.conductor_id for found in context.session.scalars(
        sa.select(row).where(row.conductor_id != conductor_id))
        if (now - found.beaten_at).total_seconds() > DEAD_AFTER]
    if dead:
        context.session.execute(
            sa.delete(row).where(row.conductor_id.in_(dead))
            .execution_options(synchronize_session=False))
