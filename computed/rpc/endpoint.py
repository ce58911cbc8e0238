"""The marks of methods that an RPC server offers to its peers."""

import functools
import typing
from collections import abc

import oslo_messaging as messaging

from computed import exception

Method = typing.TypeVar('Method', bound=abc.Callable[..., typing.Any])


def exposed(method: Method) -> Method:
    """Let peers call ``method``.

    Errors of ours that it raises are answers to the caller. The library
    does not log them as faults of this process.
    """
    @functools.wraps(method)
    def answering(*args: typing.Any, **kwargs: typing.Any) -> typing.Any:
        try:
            return method(*args, **kwargs)
        except exception.ComputedError as error:
            raise answer(error) from None
    return messaging.expose(answering)


def exposed_act(method: Method) -> Method:
    """Let peers call ``method``, which begins work that changes something.

    A peer needs a ticket for it; see :mod:`computed.rpc.tickets`.
    """
    marked: typing.Any = exposed(method)
    marked.needs_ticket = True
    return marked


def answer(error: Exception) -> messaging.ExpectedException:
    """Return what to raise so that the caller gets ``error``.

    It gets the class, the text and the values, but no traceback: that is
    for the log of this process.
    """
    error.__cause__ = error.__context__ = None
    found = messaging.ExpectedException()
    found.exc_info = type(error), error, None
    return found
