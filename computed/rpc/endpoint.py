"""The mark of a method that an RPC server offers to its peers."""

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
    expected = messaging.expected_exceptions(exception.ComputedError)
    return messaging.expose(functools.wraps(method)(expected(method)))
