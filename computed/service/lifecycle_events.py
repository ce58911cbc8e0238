"""Hints of the driver that a guest changed, acted on a little later.

Keyed by instance: of many hints about one only the newest counts, so a storm
of them is bounded by the number of instances.
"""

import threading
import time

from oslo_log import log as logging

LOG = logging.getLogger(__name__)


class LifecycleEvents:
    """Calls ``look(uuid)`` once no hint about it came for a while."""

    def __init__(self, look, delay):
        """:param look: called on this object's thread; must hand work on
        :param delay: callable, seconds
        """
        self._look = look
        self._delay = delay
        self._due = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True,
                                        name='hints')

    def start(self):
        self._thread.start()

    def stop(self):
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def hint(self, uuid):
        """Something happened to this guest. Never blocks for long."""
        with self._changed:
            self._due[uuid] = time.monotonic() + self._delay()
            self._changed.notify()

    def _run(self):
        while True:
            with self._changed:
                if self._stopping:
                    return
                now = time.monotonic()
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

    def _hand_on(self, uuid):
        try:
            self._look(uuid)
        except Exception:
            # No thread to be had, perhaps. This one serves all guests.
            LOG.exception('A hint about instance %s is left to the next '
                          'pass.', uuid)
