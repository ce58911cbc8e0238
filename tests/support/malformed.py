"""Sound arguments of any method, and what becomes of them on a bad day."""

import copy
import inspect
import math
import random
import types
import typing

from computed.objects import arguments
from tests.support import fixtures


def deep(levels):
    found = []
    for number in range(levels):
        found = [found] if number % 2 else {'x': found}
    return found


HOSTILE = (
    None, True, -1, 0, 2 ** 31, 2 ** 63, 10 ** 400, math.nan, -math.inf, 1e300,
    '', 'x', 'now', '(none)', '%_\\', "'; --", fixtures.UUID.upper(), 'a\0b',
    '\ud800', 'x' * 100_000, 'ü' * 70_000, [], {}, ['x'], [None], {'x': 1},
    [{}] * 20_000, deep(20), deep(200))

BY_NAME = {
    'host': fixtures.HOST, 'former': fixtures.HOST, 'kind': 'instance',
    'key': fixtures.UUID, 'digest': '{"tasks": 1}', 'uuid': fixtures.UUID,
    'expected': {'vm_state': ['active'], 'launched_at': None},
    'old': fixtures.PRIMARY, 'new': fixtures.PRIMARY, 'mac_address': '02:00'}
BY_TYPE = {
    arguments.Uuid: fixtures.SERVICE, arguments.Owner: fixtures.OWNER,
    arguments.Moment: 0.0, str: 'text', int: 1, float: 1.0, bool: False,
    type(None): None}


def sample(name, annotation):
    """A sound value of a parameter or key."""
    if name in BY_NAME:
        return copy.deepcopy(BY_NAME[name])
    if annotation in BY_TYPE:
        return BY_TYPE[annotation]
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Annotated, typing.NotRequired, typing.Union,
                  types.UnionType):
        return sample(name, parts[0])
    if typing.is_typeddict(annotation):
        return {key: sample(key, hint) for key, hint in typing.get_type_hints(
            annotation, include_extras=True).items()}
    if origin is list:
        return [sample('member', parts[0])]
    assert origin is dict or annotation in (dict, tuple), annotation
    return {} if annotation is not tuple else []


def arguments_of(method, skip, **given):
    """Sound arguments of a method.

    :param skip: how many parameters a peer does not send
    """
    parameters = [*inspect.signature(method).parameters.values()][skip:]
    return {one.name: given[one.name] if one.name in given
            else sample(one.name, one.annotation) for one in parameters}


def places(value, path=()):
    """The paths of all parts of a value, its own first."""
    yield path
    inside = (value.items() if isinstance(value, dict) else
              enumerate(value) if isinstance(value, list) else ())
    for key, member in inside:
        yield from places(member, (*path, key))


def replaced(value, path, new):
    """A copy with another value at a path; ``DROPPED``: with none."""
    if not path:
        return new
    twin, key = copy.copy(value), path[0]
    if new is DROPPED and len(path) == 1:
        del twin[key]
    else:
        twin[key] = replaced(value[key], path[1:], new)
    return twin


DROPPED = object()


def variants(value, seed, each):
    """Each part dropped, and replaced by some of HOSTILE.

    :param each: how many replacements of each part
    """
    draw = random.Random(seed)
    for path in places(value):
        if not path:
            continue
        yield path, replaced(value, path, DROPPED)
        for bad in draw.sample(HOSTILE, each):
            yield (*path, str(bad)[:20] if not isinstance(bad, int) else
                   bad.bit_length()), replaced(value, path, bad)
