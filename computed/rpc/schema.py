"""What a method accepts, taken from its annotations.

They are the schema of a call: a peer that sends anything else is told what is
wrong before the method is called.
"""

import functools
import inspect
import math
import types
import typing
from collections import abc

from computed import exception
from computed.logs import printable
from computed.objects import arguments

# How a type of Python arrives: JSON has one kind of list and one of objects.
ARRIVES: dict[typing.Any, typing.Any] = {
    **dict.fromkeys((list, tuple, abc.Sequence, abc.Collection, abc.Iterable),
                    list | tuple),
    abc.Mapping: dict}
# How many lists and objects may be inside each other.
DEPTH = 32
# Every database can compare a number of so many bits.
BITS = 64


def check(name: str, method: abc.Callable[..., typing.Any], skip: int,
          args: abc.Sequence[typing.Any] = (),
          kwargs: abc.Mapping[str, typing.Any] = types.MappingProxyType({}),
          ) -> None:
    """Check the arguments of a call against the annotations of ``method``.

    :param name: what to call the method in the error text
    :param skip: how many parameters at the front the peer does not send
    :raises computed.exception.BadRequest: an argument is missing, unknown, or
        of the wrong type
    """
    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())[skip:]
    try:
        bound = signature.replace(parameters=parameters).bind(*args, **kwargs)
    except TypeError as error:
        # It names an argument as the peer does, at any length.
        raise exception.BadRequest(
            method=name, problem=printable.short(str(error))) from None
    for parameter in parameters:
        if parameter.name not in bound.arguments or parameter.kind in (
                parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        problem = problem_of(parameter.name, bound.arguments[parameter.name],
                             parameter.annotation)
        if problem:
            raise exception.BadRequest(method=name, problem=problem)


def ensure_text(name: str, value: object) -> None:
    """Refuse text that no database and no file can hold, wherever it is.

    JSON can write half of a character, and a NUL. It can also put lists into
    lists until everything that walks through them fails.

    :param name: what to call the method in the error text
    :raises computed.exception.BadRequest: there is such text, or it is nested
        too deeply
    """
    _ensure(name, value, _unusable_text)


def ensure_plain(name: str, value: object) -> None:
    """Refuse such text, and numbers that no database can compare.

    JSON can write NaN, infinity, and whole numbers of any length.

    :param name: what to call the method in the error text
    :raises computed.exception.BadRequest: there is such text or such a
        number, or it is nested too deeply
    """
    _ensure(name, value, lambda one: (
        _unusable_text(one) or _unusable_number(one)))


def _ensure(name: str, value: object,
            problem_of_one: abc.Callable[[object], str | None]) -> None:
    waiting = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        problem = (problem_of_one(one) if depth <= DEPTH
                   else 'it is nested too deeply')
        if problem:
            raise exception.BadRequest(method=name, problem=problem)
        inside: abc.Iterable[object] = ()
        if isinstance(one, dict):
            inside = [*one, *one.values()]
        elif isinstance(one, list | tuple):
            inside = one
        waiting += [(member, depth + 1) for member in inside]


def _unusable_text(value: object) -> str | None:
    if isinstance(value, str) and ('\0' in value or not _is_unicode(value)):
        return 'a text is not valid Unicode or contains a NUL character'
    return None


def _unusable_number(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return 'a number is not finite'
    if isinstance(value, int) and not (
            -2 ** (BITS - 1) <= value < 2 ** (BITS - 1)):
        return f'a number does not fit into {BITS} bits'
    return None


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def problem_of(name: str, value: object, wanted: typing.Any) -> str | None:
    """Return why ``value`` is not what the annotation ``wanted`` says.

    An annotation that is not understood accepts everything.

    :param name: what to call the value in the text
    """
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Annotated:
        return problem_of(name, value, parts[0]) or next(
            (f'{name} {rule.problem}' for rule in parts[1:]
             if isinstance(rule, arguments.Rule) and not rule.fits(value)),
            None)
    if typing.is_typeddict(wanted):
        return _problem_of_keys(name, value, wanted)
    if origin in (types.UnionType, typing.Union):
        fits = any(problem_of(name, value, part) is None for part in parts)
    elif wanted is None or wanted is type(None):
        fits = value is None
    elif wanted in (int, float):
        fits = (not isinstance(value, bool) and
                isinstance(value, int if wanted is int else int | float))
    else:
        kind = ARRIVES.get(origin or wanted, origin or wanted)
        if not isinstance(kind, type | types.UnionType) or (
                kind is inspect._empty):
            return None
        if _is(value, kind):
            return _problem_of_members(name, value, parts)
        fits = False
    return None if fits else f'{name} is not {_described(wanted)}'


def _is(value: object, kind: typing.Any) -> bool:
    try:
        return isinstance(value, kind)
    except TypeError:       # a protocol, or another type only for checkers
        return True


@functools.cache
def _keys(wanted: typing.Any) -> dict[str, tuple[typing.Any, bool]]:
    """Return ``{key: (annotation, whether it is required)}``."""
    found = {}
    for key, hint in typing.get_type_hints(
            wanted, include_extras=True).items():
        if typing.get_origin(hint) is typing.NotRequired:
            hint = typing.get_args(hint)[0]
        found[key] = hint, key in wanted.__required_keys__
    return found


def _problem_of_keys(name: str, value: object,
                     wanted: typing.Any) -> str | None:
    """Return why ``value`` does not have the keys of a ``TypedDict``.

    A newer peer may send more keys.
    """
    if not isinstance(value, dict):
        return f'{name} is not an object'
    for key, (hint, required) in _keys(wanted).items():
        if key in value:
            problem = problem_of(f'{name}.{key}', value[key], hint)
            if problem:
                return problem
        elif required:
            return f'{name} has no {key}'
    return None


def _problem_of_members(name: str, value: typing.Any,
                        parts: tuple[typing.Any, ...]) -> str | None:
    hints: abc.Iterable[tuple[str, object, typing.Any]] = ()
    if isinstance(value, dict) and len(parts) == 2:
        hints = [*((f'a key of {name}', key, parts[0]) for key in value),
                 *((f'a value of {name}', member, parts[1])
                   for member in value.values())]
    elif isinstance(value, list | tuple) and parts:
        # tuple[int, str] has a type for each member.
        each = len(parts) > 1 and parts[1] is not ...
        if each and len(parts) != len(value):
            return f'{name} has not {len(parts)} members'
        hints = ((f'{name}[{number}]', member,
                  parts[number] if each else parts[0])
                 for number, member in enumerate(value))
    return next(filter(None, (problem_of(*hint) for hint in hints)), None)


def _described(wanted: typing.Any) -> str:
    """Return an annotation as an error text may show it."""
    if typing.get_origin(wanted) in (types.UnionType, typing.Union):
        return ' | '.join(map(_described, typing.get_args(wanted)))
    if typing.get_origin(wanted) is typing.Annotated:
        return _described(typing.get_args(wanted)[0])
    return ('None' if wanted is type(None)
            else inspect.formatannotation(wanted))
