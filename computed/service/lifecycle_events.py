"""Lifecycle events of guests, acted on a little later.

If there are many events about one instance, only the newest counts. So the
number of instances limits the work that a storm of events causes.
"""

import threading
from collections import abc

from oslo_log import log as logging

from computed import clock
from computed import concurrency

LOG = logging.getLogger(__name__)


class LifecycleEvents:
    """Calls ``look(uuid)`` when a guest has had no event for a while."""

    def __init__(self, look: abc.Callable[[str], object],
                 delay: abc.Callable[[], float]) -> None:
        """:param look: called on this object's thread; it must not block
        :param delay: returns the seconds to wait after an event
        """
        self._look = look
        self._delay = delay
        self._due: dict[str, float] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = concurrency.thread('lifecycle events', self._run)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; events that wait are dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def note(self, uuid: str) -> None:
        """Note an event of a guest. Never blocks for long."""
        with self._changed:
            self._due[uuid] = clock.monotonic() + self._delay()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                now = clock.monotonic()
                ready = [uuid for uuid, due in self._due.items()
                         if due <= now]
                for uuid in ready:
                    del self._due[uuid]
                if not ready:
                    self._changed.wait(
                        min(self._due.values()) - now if self._due else None)
            for uuid in ready:
                if not self._stopping:
                    self._hand_on(uuid)

    def _hand_on(self, uuid: str) -> None:
        try:
            self._look(uuid)
        except Exception:
            # Perhaps no thread can be started. This thread serves all
            # guests and must go on.
            LOG.exception('A lifecycle event of instance %s is left to the '
                          'next pass.', uuid)
