"""Answers that no transport takes: the caller must not wait for them."""

import typing

from oslo_log import log as logging

from computed import exception
from computed.logs import printable
from computed.logs import seldom

LOG = logging.getLogger(__name__)
_lines = seldom.Seldom(LOG)

Failure = tuple[type[Exception], Exception, None]


def failure(request: dict[str, typing.Any], problem: str) -> Failure:
    """Return the failure to send in place of an answer that cannot be sent.

    :param request: the message that the answer is for
    :param problem: why the transport does not take it
    """
    error = exception.AnswerTooLarge(
        method=described(request), problem=problem)
    _lines.warn('%s', error, kind=error.kwargs['method'])
    return type(error), error, None


def described(request: dict[str, typing.Any]) -> str:
    """Return the method of a request, and that of the object if it has one.
    """
    values = request.get('args', {})
    names = [values.get('objname'), values.get('objmethod')]
    if all(isinstance(name, str) for name in names):
        return printable.short('.'.join(names))
    return printable.short(request.get('method'))
