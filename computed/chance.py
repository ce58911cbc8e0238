"""The only source of random numbers and random names.

A test that seeds it repeats every choice of the process. The lint step
forbids ``random`` and ``uuid.uuid4`` elsewhere.
"""

import random
import typing
import uuid as uuid_module

T = typing.TypeVar('T')

# The source of the operating system: two processes never draw the same names,
# not even after a fork.
_source: random.Random = random.SystemRandom()


def seed(value: int) -> None:
    """Seed the source with ``value``; for tests."""
    global _source
    _source = random.Random(value)


def uuid() -> str:
    """Return a random uuid (version 4), as text."""
    return str(uuid_module.UUID(int=_source.getrandbits(128), version=4))


def fraction() -> float:
    """Return a random number from 0 to below 1."""
    return _source.random()


def choice(values: typing.Sequence[T]) -> T:
    """Return a random one of ``values``, which must not be empty."""
    return _source.choice(values)


def shuffle(values: list[typing.Any]) -> None:
    """Put ``values`` into a random order, in place."""
    _source.shuffle(values)
