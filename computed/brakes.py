"""How much a task may change before somebody has to look at it.

A broken hypervisor or an empty replica must not stop a whole host.
"""

import collections
import threading
import time

HOUR = 3600.0


def limit(configured, instances):
    """How many repairs one pass, or one hour, may do.

    :param configured: the option; 0 stands for the greater of 10 and a
        quarter of the host's instances
    """
    return configured or max(10, instances // 4)


class Hourly:
    """Counts the repairs of the last hour."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._times = collections.deque()
        self._lock = threading.Lock()

    def _expire(self):
        while self._times and self._clock() - self._times[0] >= HOUR:
            self._times.popleft()

    def room(self, allowed):
        """How many more are within ``allowed`` an hour."""
        with self._lock:
            self._expire()
            return max(0, allowed - len(self._times))

    def take(self, allowed):
        """Count one repair if it is within ``allowed``; returns whether."""
        with self._lock:
            self._expire()
            if len(self._times) >= allowed:
                return False
            self._times.append(self._clock())
            return True
