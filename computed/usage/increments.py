"""Compute what counters have counted since they were read last. Pure.

The counters of one thing (an interface, a volume) grow together from the start
of an *epoch*, and all of them start at zero again when the next one begins.
"""

import typing

# The greatest number that every database keeps; counters have a bit more.
MAX_BIGINT = 2 ** 63 - 1


class Reading(typing.NamedTuple):
    """The counters of one thing at one moment, always in the same order."""

    values: tuple[int, ...]
    epoch: str


def usable(values: typing.Iterable[int | None]) -> tuple[int, ...] | None:
    """Return counters as a database keeps them; None if one is unusable."""
    found = tuple(values)
    if any(value is None or value < 0 for value in found):
        return None
    return tuple(min(value, MAX_BIGINT) for value in found
                 if value is not None)


def since(last: Reading | None, taken: Reading,
          from_zero: bool) -> tuple[int, ...]:
    """Return what each counter has counted since the last reading.

    :param last: None: they were never read
    :param from_zero: used if they were never read: whether all that they
        have counted is new. Otherwise counting begins here.
    """
    if last is None:
        return taken.values if from_zero else (0,) * len(taken.values)
    # A reset concerns all counters: even one that is above its old value
    # again has started at zero.
    if taken.epoch != last.epoch or any(
            new < old for new, old in zip(
                taken.values, last.values, strict=True)):
        return taken.values
    return tuple(new - old for new, old in zip(
        taken.values, last.values, strict=True))


def total(before: int, more: int) -> int:
    """Return a sum as a database keeps it."""
    return min(before + more, MAX_BIGINT)
