"""Write ``task_state`` together with the time at which it changed."""

import typing
from collections import abc

from computed.db.engine import dialects

_NOW = dialects.utcnow()


def dated(values: abc.Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return columns of an instance to write, with the time of a transition.

    Each statement that writes ``task_state`` takes its columns from here. The
    time is that of the database. Without a transition there is no time.
    """
    if 'task_state' not in values:
        return {**values}
    return {**values, 'task_state_since':
            None if values['task_state'] is None else _NOW}
