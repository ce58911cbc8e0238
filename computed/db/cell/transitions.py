"""Write the state of an instance together with the time since it has it.

People read the time of the database in ``task_state_since``. A decision rests
on ``state_counted_at``, by the clock of the cell: a clock that is set must
not end an act, or delete what can still be restored.
"""

import functools
import typing
from collections import abc

import sqlalchemy as sa

from computed.db.cell import cell_clock
from computed.db.cell import models
from computed.db.engine import dialects
from computed.db.engine import prepared

_NOW = dialects.utcnow()
# The seconds of the clock of the cell.
COUNTED = 'state_counted_at'


def dated(values: abc.Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return columns of an instance to write, with the time of a transition.

    Each statement that writes ``vm_state`` or ``task_state`` takes its
    columns from here. Without a transition there is no ``task_state_since``.
    """
    times: dict[str, typing.Any] = {}
    # What ends without another state has been in the former one all the time.
    if 'vm_state' in values or values.get('task_state') is not None:
        times[COUNTED] = cell_clock.seconds()
    if 'task_state' in values:
        times['task_state_since'] = (
            None if values['task_state'] is None else _NOW)
    return {**values, **times}


def now(columns: abc.Iterable[str]) -> dict[str, typing.Any]:
    """Return columns of an instance with the time that each of them has now.

    With ``launched_at`` comes ``first_launched_at``, unless it has a time.
    """
    found: dict[str, typing.Any] = {
        name: cell_clock.seconds() if name == COUNTED else _NOW
        for name in columns}
    if 'launched_at' in found:
        found['first_launched_at'] = sa.func.coalesce(
            models.Instance.first_launched_at, _NOW)
    return found


def lasts(seconds: int) -> prepared.Part:
    """Return a condition: an instance has its state for so many seconds.

    The clock of the cell counts them, so it may be more in reality.
    """
    return prepared.Part(_lasts(), {'the_seconds_in_state': seconds})


@functools.cache
def _lasts() -> sa.ColumnElement[bool]:
    return models.Instance.state_counted_at <= (
        cell_clock.seconds() - prepared.value('seconds_in_state',
                                              sa.BigInteger))
