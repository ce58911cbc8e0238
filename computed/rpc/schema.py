"""What a method accepts, taken from its annotations.

They are the schema of a call: a peer that sends anything else is told what is
wrong before the method is called.
"""

import dataclasses
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
    # The cache must not keep the owner of a method.
    accepted = (_accepted(method.__func__, skip + 1)
                if isinstance(method, types.MethodType)
                else _accepted(method, skip))
    try:
        arguments = accepted.bind(args, kwargs)
    except TypeError as error:
        # It names an argument as the peer does, at any length.
        raise exception.BadRequest(
            method=name, problem=printable.short(str(error))) from None
    for parameter, annotation in accepted.annotations.items():
        if parameter in arguments:
            problem = problem_of(parameter, arguments[parameter], annotation)
            if problem:
                raise exception.BadRequest(method=name, problem=problem)


@dataclasses.dataclass(frozen=True)
class _Accepted:
    """The arguments that a method accepts from a peer.

    :ivar annotations: ``{parameter: annotation}``, without ``*args`` and
        ``**kwargs``
    :ivar required: the parameters without a default; None: some have no name,
        or are accepted only with or without their names
    """

    signature: inspect.Signature
    annotations: dict[str, typing.Any]
    required: frozenset[str] | None

    def bind(self, args: abc.Sequence[typing.Any],
             kwargs: abc.Mapping[str, typing.Any]
             ) -> abc.Mapping[str, typing.Any]:
        """Return ``{parameter: argument}``.

        :raises TypeError: the method does not accept them
        """
        arguments = {
            **dict(zip(self.annotations, args, strict=False)), **kwargs}
        if self.required is not None and (
                len(arguments) == len(args) + len(kwargs) and
                self.required <= arguments.keys() <= self.annotations.keys()):
            return arguments
        # It says what is wrong, but it takes long.
        return self.signature.bind(*args, **kwargs).arguments


@functools.cache
def _accepted(method: abc.Callable[..., typing.Any], skip: int) -> _Accepted:
    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())[skip:]
    named = [one for one in parameters if one.kind not in (
        one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    plain = all(one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters)
    return _Accepted(
        signature.replace(parameters=parameters),
        {one.name: one.annotation for one in named},
        frozenset(one.name for one in named if one.default is one.empty)
        if plain else None)


def ensure_text(name: str, value: object) -> None:
    """Refuse text that no database and no file can hold, wherever it is.

    JSON can write half of a character, and a NUL. It can also put lists into
    lists until everything that walks through them fails.

    :param name: what to call the method in the error text
    :raises computed.exception.BadRequest: there is such text, or it is nested
        too deeply
    """
    _ensure(name, value, numbers=False)


def ensure_plain(name: str, value: object) -> None:
    """Refuse such text, and numbers that no database can compare.

    JSON can write NaN, infinity, and whole numbers of any length.

    :param name: what to call the method in the error text
    :raises computed.exception.BadRequest: there is such text or such a
        number, or it is nested too deeply
    """
    _ensure(name, value, numbers=True)


def _ensure(name: str, value: object, numbers: bool) -> None:
    level: list[object] = [value]
    for _ in range(DEPTH + 1):
        inside: list[object] = []
        for one in level:
            problem = None
            if isinstance(one, str):
                if '\0' in one or not (one.isascii() or _is_unicode(one)):
                    problem = ('a text is not valid Unicode or contains a '
                               'NUL character')
            elif isinstance(one, dict):
                inside += [*one, *one.values()]
            elif isinstance(one, list | tuple):
                inside += one
            elif numbers:
                problem = _unusable_number(one)
            if problem:
                raise exception.BadRequest(method=name, problem=problem)
        if not inside:
            return
        level = inside
    raise exception.BadRequest(
        method=name, problem='it is nested too deeply')


def _unusable_number(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return 'a number is not finite'
    if isinstance(value, int) and not (
            -2 ** (BITS - 1) <= value < 2 ** (BITS - 1)):
        return f'a number does not fit into {BITS} bits'
    return None


def _is_unicode(text: str) -> bool:
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
    origin, parts, has_keys = _apart(wanted)
    if origin is typing.Annotated:
        return problem_of(name, value, parts[0]) or next(
            (f'{name} {rule.problem}' for rule in parts[1:]
             if isinstance(rule, arguments.Rule) and not rule.fits(value)),
            None)
    if has_keys:
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


def _apart(wanted: typing.Any
           ) -> tuple[typing.Any, tuple[typing.Any, ...], bool]:
    """Return the origin and parts of an annotation, and if it has keys."""
    try:
        return _apart_once(wanted)
    except TypeError:       # it has a part that no cache can find again
        return _apart_once.__wrapped__(wanted)


@functools.cache
def _apart_once(wanted: typing.Any
                ) -> tuple[typing.Any, tuple[typing.Any, ...], bool]:
    return (typing.get_origin(wanted), typing.get_args(wanted),
            typing.is_typeddict(wanted))


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
