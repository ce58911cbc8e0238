"""Errors that peers send, made again without raising another one."""

import typing

import oslo_messaging as messaging

# Private, and the only maker of such errors. What is used is checked by
# test_the_library_still_has_what_failures_need.
from oslo_messaging._drivers import common


def rebuilt(failure: object, allowed: list[str]) -> Exception:
    """Return the error that a peer sent.

    :param failure: the library's JSON
    :param allowed: modules whose errors are made again
    :returns: an error of these modules, or one that contains its text
    """
    try:
        found = common.deserialize_remote_exception(failure, allowed)
        text = str(found)       # it calls code of the class
        if type(found).__module__ == 'builtins':
            # A fault of the peer must not look like one of this process.
            return messaging.RemoteError(type(found).__name__,
                                         text.strip().partition('\n')[0])
        return found
    except Exception as error:
        return messaging.RemoteError(
            type(error).__name__, 'the error that was sent cannot be read')


class ReplyReader:
    """Reads replies from RabbitMQ, in place of the library's own method.

    :param waiter: the library's object that waits for replies
    """

    def __init__(self, waiter: typing.Any) -> None:
        self._waiter = waiter
        self._read = waiter._process_reply

    def __call__(self, reply: dict[str, typing.Any]
                 ) -> tuple[typing.Any, bool]:
        """Return the result, or the error, and whether it is the last."""
        failure = reply.get('failure')
        result, ending = self._read({**reply, 'failure': None})
        if failure:
            result = rebuilt(failure, self._waiter.allowed_remote_exmods)
        return result, ending
