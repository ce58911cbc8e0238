"""What a method accepts, taken from its annotations.

They are the schema of a call: a peer that sends anything else is told what is
wrong before the method is called.
"""

import inspect
import types
import typing
from collections import abc

from computed import exception

# How a type of Python arrives: JSON has one kind of list and one of objects.
ARRIVES: dict[typing.Any, typing.Any] = {
    **dict.fromkeys((list, tuple, abc.Sequence, abc.Collection, abc.Iterable),
                    list | tuple),
    abc.Mapping: dict}


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
        raise exception.BadRequest(method=name, problem=str(error)) from None
    for parameter in parameters:
        if parameter.name not in bound.arguments or parameter.kind in (
                parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if not fits(bound.arguments[parameter.name], parameter.annotation):
            raise exception.BadRequest(
                method=name, problem=f'{parameter.name} is not '
                f'{inspect.formatannotation(parameter.annotation)}')


def ensure_text(name: str, value: object) -> None:
    """Refuse text that no database and no file can hold, wherever it is.

    JSON can write half of a character, and a NUL.

    :param name: what to call the method in the error text
    :raises computed.exception.BadRequest: there is such text
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, str) and ('\0' in one or not _is_unicode(one)):
            raise exception.BadRequest(
                method=name, problem='a text is not valid Unicode or contains '
                                     'a NUL character')


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def fits(value: object, wanted: typing.Any) -> bool:
    """Return whether ``value`` is what the annotation ``wanted`` says.

    An annotation that is not understood accepts everything.
    """
    if wanted is None or wanted is type(None):
        return value is None
    if wanted in (int, float):
        return (not isinstance(value, bool) and
                isinstance(value, int if wanted is int else int | float))
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, part) for part in parts)
    kind = origin or wanted
    kind = ARRIVES.get(kind, kind)
    if isinstance(kind, type | types.UnionType) and kind is not inspect._empty:
        return _is(value, kind) and _members_fit(value, parts)
    return True


def _is(value: object, kind: typing.Any) -> bool:
    try:
        return isinstance(value, kind)
    except TypeError:       # a protocol, or another type only for checkers
        return True


def _members_fit(value: typing.Any, parts: tuple[typing.Any, ...]) -> bool:
    if isinstance(value, dict) and len(parts) == 2:
        return all(fits(key, parts[0]) and fits(member, parts[1])
                   for key, member in value.items())
    if isinstance(value, list | tuple) and parts:
        # tuple[int, str] has a type for each member.
        if len(parts) > 1 and parts[1] is not ...:
            return len(value) == len(parts) and all(map(fits, value, parts))
        return all(fits(member, parts[0]) for member in value)
    return True
