"""Send notifications in a thread of their own.

Whoever has something to tell hands it over and goes on. What cannot be sent
waits; when too much waits, what comes then is dropped.
"""

import collections
import dataclasses
import threading
import typing
from collections import abc

from oslo_log import log as logging

from computed import clock
from computed import concurrency
from computed import metrics
from computed.logs import outage
from computed.logs import seldom
from computed.notifications import notification

LOG = logging.getLogger(__name__)

T = typing.TypeVar('T')

# Seconds between two tries: the first and the longest wait.
SHORTEST, LONGEST = 1.0, 30.0
# Seconds that a caller waits for what must arrive.
PATIENCE = 5.0
# Seconds that an end of the process waits for what is still to be sent.
LEAVING = 2.0


class Unsent(Exception):
    """A notification was not sent; another try may succeed.

    ``str()`` says why, in one line.
    """


class Unsendable(Exception):
    """A notification cannot be sent; no other try can succeed.

    ``str()`` says why, in one line.
    """


class Channel(typing.Protocol):
    """A way to the consumers. One thread uses it."""

    def send(self, event_type: str, payload: dict[str, typing.Any],
             failed: bool) -> None:
        """Send a notification.

        :raises Unsent: try again
        :raises Unsendable: do not
        """

    def close(self) -> None:
        """Close its connections."""


@dataclasses.dataclass(eq=False)
class Letter:
    """A notification that waits.

    :ivar sent: whether it was sent; None: nobody knows yet
    """

    made: notification.Notification
    sent: bool | None = None


class Outbox:
    """What is to be sent. Any thread may add to it."""

    def __init__(self, channel: Channel, size: int) -> None:
        """:param size: how many notifications may wait"""
        self._channel, self._size = channel, size
        self._lines = seldom.Seldom(LOG)
        self._outage = outage.Outage(
            'Notifications cannot be sent',
            'Notifications could not be sent for {seconds}',
            'Notifications are sent again after {seconds}.')
        # Guards the queue.
        self._changed = threading.Condition()
        self._queue: collections.deque[Letter] = collections.deque()
        self._stopping = False
        # Somebody waits: the pause between two tries is over.
        self._urgent = False
        self._thread = concurrency.thread('notifications', self._run)

    def start(self) -> None:
        """Start the thread that sends."""
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, but not for long, and end the thread.

        A thread that hangs on a dead broker is left.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout=LEAVING)
        with self._changed:
            left = len(self._queue)
            self._queue.clear()
        if left:
            metrics.notifications_dropped.inc(left)
            LOG.warning('%d notifications were not sent before the end.',
                        left)
        if not self._thread.is_alive():
            self._channel.close()

    def tell(self, make: abc.Callable[[T], notification.Notification],
             what: T) -> None:
        """Let ``make(what)`` be sent; this neither waits nor fails."""
        letter = self._letter(make, what)
        if letter is None:
            return
        with self._changed:
            room = len(self._queue) < self._size and not self._stopping
            if room:
                self._queue.append(letter)
                self._changed.notify_all()
        if not room:
            self._drop('too many wait')

    def deliver(self, make: abc.Callable[[T], notification.Notification],
                whats: abc.Iterable[T]) -> list[bool | None]:
        """Send ``make(what)`` for each, in this order, and wait for it.

        The next try comes at once, however long the last ones failed.

        :returns: for each whether it was sent. False: it never can be. None:
            there was no time; it may be sent all the same if the broker has
            it already.
        """
        letters = [self._letter(make, what) for what in whats]
        waiting = [one for one in letters if one is not None]
        until = clock.monotonic() + PATIENCE
        with self._changed:
            self._queue.extend(waiting)
            self._urgent = True
            self._changed.notify_all()
            while any(one.sent is None for one in waiting) and (
                    not self._stopping and
                    (left := until - clock.monotonic()) > 0):
                self._changed.wait(left)
            # The first one is being sent.
            kept = [one for place, one in enumerate(self._queue)
                    if not place or one not in waiting]
            self._queue = collections.deque(kept)
        return [one.sent if one is not None else False for one in letters]

    def _letter(self, make: abc.Callable[[T], notification.Notification],
                what: T) -> Letter | None:
        """Return what is to be sent; None: it cannot be made."""
        try:
            return Letter(make(what))
        except Exception:
            self._drop('it cannot be made', fault=True)
            return None

    def _drop(self, why: str, fault: bool = False) -> None:
        metrics.notifications_dropped.inc()
        line = self._lines.fault if fault else self._lines.warn
        line('A notification is dropped: %s.', why, kind=why)

    def _run(self) -> None:
        wait = SHORTEST
        while (first := self._next()) is not None:
            made, sent = first.made, False
            try:
                self._channel.send(
                    made.event_type, made.payload, made.failed)
            except Unsent as error:
                self._outage.lasts(str(error))
                self._pause(wait)
                wait = min(2 * wait, LONGEST)
                continue
            except Unsendable as error:
                self._drop(str(error))
            except Exception:       # the next one may have better luck
                self._drop('it cannot be sent', fault=True)
            else:
                self._outage.ends()
                metrics.notifications_sent.inc()
                sent = True
            wait = SHORTEST
            with self._changed:
                first.sent = sent
                if self._queue:     # else the end has counted it
                    self._queue.popleft()
                self._changed.notify_all()

    def _next(self) -> Letter | None:
        """Return the one to send now; None: the end has come."""
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            self._urgent = False
            return self._queue[0] if self._queue else None

    def _pause(self, seconds: float) -> None:
        """Wait before the next try; an end and who waits cut it short."""
        until = clock.monotonic() + seconds
        with self._changed:
            if self._stopping:      # another try at most each second
                self._changed.wait(SHORTEST)
            while not (self._stopping or self._urgent) and (
                    left := until - clock.monotonic()) > 0:
                self._changed.wait(left)
