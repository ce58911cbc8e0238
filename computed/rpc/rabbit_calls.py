"""Calls over RabbitMQ: is there a server, and does the caller still wait?

A queue keeps a call to a server that is gone until the caller's time is up. So
a caller checks whether a server listens before it sends. A program that ends
also checks while it waits, because conductors may end at the same moment.
"""

import contextlib
import contextvars
import math
import threading
import typing
from collections import abc

import amqp
import oslo_messaging

# Private, and the only way to what waits for replies. What is used is checked
# by test_the_library_still_has_what_calls_need.
from oslo_messaging._drivers import common
from oslo_messaging._drivers import impl_rabbit

from computed import clock
from computed.rpc import failures
from computed.rpc import rabbit

# Seconds after an answer during which a server is presumed to listen.
PRESUMED = 30.0
# Seconds that a broker may take to tell whether a server listens.
ANSWERING = 5
# Seconds after which a caller that waits looks at what has changed.
SLICE = 1.0
# So often in a row it must find no server before it gives up: one that ends in
# order takes no more calls, but answers those that it has.
MISSES = 3

Get = abc.Callable[[str, float], dict[str, typing.Any]]


class Servers:
    """The servers that take calls from one queue."""

    def __init__(self, driver: impl_rabbit.RabbitDriver | None,
                 queue: str, ending: threading.Event) -> None:
        """:param driver: None: it is not RabbitMQ's; then nothing is asked
        :param ending: set when this program begins to end. From then on
            nothing is presumed, and calls wait for no server that is gone.
        """
        self._driver = driver
        self._queue = queue
        self._answered = -math.inf
        self._ending = ending

    @contextlib.contextmanager
    def reached(self) -> abc.Iterator[None]:
        """Check that a server listens, around one call.

        Calls in quick succession check once: a server that answered is
        presumed to listen. A call sent while it restarts waits in the queue.

        :raises computed.rpc.rabbit.Unreachable: the broker is away, nothing
            was sent
        :raises computed.rpc.rabbit.NobodyListens: no server listens, nothing
            was sent
        :raises computed.rpc.rabbit.TooLarge: the call is too large, nothing
            was sent
        :raises computed.rpc.rabbit.Unconfirmed: the call may have been sent
        """
        if self._driver is None:
            yield
            return
        if self._ending.is_set() or (
                clock.monotonic() - self._answered > PRESUMED):
            self._check(self._driver)
        self._answered = -math.inf
        calling = _calling.set(self)
        try:
            yield
        except oslo_messaging.MessageUndeliverable as error:
            raise rabbit.NobodyListens(self._queue) from error
        except (oslo_messaging.MessagingTimeout, rabbit.Unconfirmed):
            raise
        except (*rabbit.FAILURES,
                oslo_messaging.MessageDeliveryFailure) as error:
            if refusal := rabbit.refusal_of_message(error):
                raise rabbit.TooLarge(refusal) from error
            raise rabbit.Unconfirmed(rabbit.problem_of(error)) from error
        except Exception:       # the peer's error, which is an answer
            self._answered = clock.monotonic()
            raise
        finally:
            _calling.reset(calling)
        self._answered = clock.monotonic()

    def are_gone(self) -> bool:
        """Return whether this program ends and no server listens."""
        if self._driver is None or not self._ending.is_set():
            return False
        try:
            self._check(self._driver)
        except (rabbit.Unreachable, rabbit.NobodyListens):
            return True
        return False

    def _check(self, driver: impl_rabbit.RabbitDriver) -> None:
        if not self._count(driver):
            raise rabbit.NobodyListens(self._queue)

    def _count(self, driver: impl_rabbit.RabbitDriver) -> int:
        """Return how many servers listen.

        It asks on the connection that the call will use.
        """
        found: list[int] = []

        def look() -> None:
            try:
                found.append(connection.channel.queue_declare(
                    self._queue, passive=True).consumer_count)
            except amqp.NotFound:
                found.append(0)

        with rabbit.reaching(driver), driver._get_connection(
                common.PURPOSE_SEND) as connection:
            # This may ask twice; a stale connection is replaced.
            with connection._connection_lock:
                # The default limit for a silent broker is 60 s.
                connection.set_transport_socket_timeout(ANSWERING)
                connection.ensure(look,
                                  retry=rabbit.attempts(driver._url))
                connection.set_transport_socket_timeout()
        return found[-1]


# The servers that the present thread calls.
_calling: contextvars.ContextVar[Servers | None] = contextvars.ContextVar(
    'calling', default=None)


def looking_up(get: Get) -> Get:
    """Return ``get``, made to see meanwhile whether a server is left.

    :param get: the library's, which waits for a reply; it gets the id of a
        call and the seconds to wait
    """
    # The library passes the seconds by this name.
    def get_or_give_up(call: str, timeout: float) -> dict[str, typing.Any]:
        servers, misses = _calling.get(), 0
        last = clock.monotonic() + timeout
        while True:
            left = last - clock.monotonic()
            try:
                return get(call, max(min(left, SLICE), 0))
            except oslo_messaging.MessagingTimeout:
                if left <= SLICE:
                    raise
            gone = servers is not None and servers.are_gone()
            misses = misses + 1 if gone else 0
            if misses >= MISSES:
                raise rabbit.Unconfirmed('no server is left to answer')
    return get_or_give_up


def improve(driver: impl_rabbit.RabbitDriver) -> None:
    """Let calls of ``driver`` read replies safely, and end with the program.
    """
    def get_reply_q() -> str:
        name = type(driver)._get_reply_q(driver)
        waiter = driver._waiter
        if not isinstance(waiter._process_reply, failures.ReplyReader):
            waiter._process_reply = failures.ReplyReader(waiter)
            waiter.waiters.get = looking_up(waiter.waiters.get)
        return name
    driver._get_reply_q = get_reply_q
