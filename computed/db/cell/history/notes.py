"""What hosts tell for the action log that changes no other row."""

from computed import context as computed_context
from computed.db.cell.database import cell
from computed.db.cell.history import events


@cell.write
def brake(context: computed_context.RequestContext, host: str, task: str,
          reason: str) -> None:
    """Note that the brake of a task holds on a host."""
    events.note(context, 'brake', host=host, reason=f'{task}: {reason}')
