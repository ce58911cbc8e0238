"""A list that comes in parts, because one answer cannot have all of it."""

import typing
from collections import abc

from computed import clock
from computed.objects import base

P = typing.TypeVar('P', bound=base.Page)


def joined(parts: abc.Iterable[P]) -> P | None:
    """Return one list of ``parts``, which are as old as the oldest of them.

    :param parts: each is read when it is asked for; at least one
    :returns: None: their revisions differ, so they are of several moments
    """
    found: list[tuple[P, float]] = []
    for part in parts:
        found.append((part, clock.monotonic()))
        if _moment(part) != _moment(found[0][0]):
            return None
    (first, _), now = found[0], clock.monotonic()
    for part, _ in found[1:]:
        first.objects.extend(part.objects)
    first.next_marker = None
    first.obj_reset_changes()
    if first.origin is not None:
        first.origin = max((part.origin.aged(now - at) for part, at in found),
                           key=lambda origin: origin.age)
    return first


def _moment(part: typing.Any) -> object:
    """Return what is equal in two lists of a host with the same rows."""
    origin = part.origin
    return origin and (origin.incarnation, origin.revision)
