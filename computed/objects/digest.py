"""Short texts that hosts send in place of long ones.

A host sends a summary of its periodic tasks with each heartbeat.

It is a JSON object; :meth:`computed.periodic.runner.Runner.digest` makes it.
A newer host may send more than this release knows.
"""

import hashlib
import json
import typing
from collections import abc

from computed import exception

# The lists of names of tasks.
NAMES = ('failing', 'overdue')

Digest = dict[str, typing.Any]


def read(text: str) -> Digest | None:
    """Return what a digest says; None if it is damaged.

    Before the first heartbeat of a service it is empty.
    """
    try:
        found = json.loads(text or '{}')
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    tasks = found.get('tasks', 0)
    sound = type(tasks) is int and tasks >= 0 and all(
        _are_names(found.get(kind, [])) for kind in NAMES)
    return found if sound else None


def _are_names(value: typing.Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, str) for name in value)


def of_uuids(uuids: abc.Iterable[str]) -> str:
    """Return the SHA-256 of some uuids, whatever their order."""
    return hashlib.sha256('\n'.join(sorted(uuids)).encode()).hexdigest()


def ensure(text: typing.Any) -> None:
    """Refuse a digest that the readers of the host could not show.

    :raises computed.exception.InvalidValue: it is not one
    """
    if not isinstance(text, str) or read(text) is None:
        raise exception.InvalidValue(
            field='services.digest', value=repr(text)[:80],
            problem='it is not a summary of periodic tasks')
