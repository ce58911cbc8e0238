"""Replies whose queue is missing: they wait, and no worker waits with them.

A queue of replies can be missing for a moment while the broker fails over, or
for ever, because its client is gone. The library lets a worker wait until it
knows. A few hundred calls of clients that are gone would hold all workers.
"""

import threading
import typing

from oslo_log import log as logging

from computed import clock
from computed import concurrency
from computed.logs import seldom

LOG = logging.getLogger(__name__)

# Replies that wait for one queue, and for all queues; others are dropped.
PER_SENDER = 16
TOTAL = 256
# Seconds between two attempts.
PAUSE = 0.25


class Reply(typing.NamedTuple):
    """A reply that has no queue yet.

    :ivar queue: the name of the queue
    :ivar attempt: sends it; returns False if the queue is still missing
    :ivar give_up: called if the queue does not come in time
    :ivar last: when to give up, in monotonic seconds
    """

    queue: str
    attempt: typing.Callable[[], bool]
    give_up: typing.Callable[[], object]
    last: float


class LateReplies:
    """The replies of one server that wait for their queues."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Reply] = []
        self._runs = False
        self._lines = seldom.Seldom(LOG)

    def add(self, reply: Reply) -> bool:
        """Let a reply wait; return False if too many wait already."""
        with self._lock:
            same = sum(one.queue == reply.queue for one in self._waiting)
            if same >= PER_SENDER or len(self._waiting) >= TOTAL:
                return False
            self._waiting.append(reply)
            if not self._runs:
                concurrency.thread('late replies', self._run).start()
                self._runs = True
        return True

    def _run(self) -> None:
        while True:
            threading.Event().wait(PAUSE)
            with self._lock:
                waiting = list(self._waiting)
            ended = self.round(waiting)
            with self._lock:
                self._waiting = [one for one in self._waiting
                                 if not any(one is other for other in ended)]
                if not self._waiting:
                    self._runs = False
                    return

    def round(self, waiting: list[Reply]) -> list[Reply]:
        """Try each queue; return the replies that need not wait any longer.
        """
        missing: set[str] = set()
        ended = []
        for reply in waiting:
            try:
                if reply.queue not in missing:
                    if reply.attempt():
                        ended.append(reply)
                        continue
                    missing.add(reply.queue)
                if clock.monotonic() > reply.last:
                    ended.append(reply)
                    reply.give_up()
            except Exception as error:      # the others must not wait for it
                self._lines.warn('A reply to %s is lost: %s', reply.queue,
                                 error)
                ended.append(reply)
        return ended
