"""How much a task may change before somebody has to look at it.

A broken hypervisor or an empty replica must not stop a whole host.
"""

import collections
import threading
import time

from oslo_log import log as logging

from computed import files

LOG = logging.getLogger(__name__)
HOUR = 3600.0


def limit(configured, instances):
    """How many repairs one pass, or one hour, may do.

    :param configured: the option; 0 stands for the greater of 10 and a
        quarter of the host's instances
    """
    return configured or max(10, instances // 4)


class Hourly:
    """Counts the repairs of the last hour.

    It outlives the daemon: one that dies and comes back every minute may
    repair no more than one that stays.
    """

    def __init__(self, path=None, clock=time.monotonic, wall=time.time):
        """:param path: a file that keeps the count; None: only this object
        :param wall: seconds since 1970; used for no more than to tell how
            long ago something was before this start
        """
        self._path = path
        self._clock = clock
        self._wall = wall
        self._times = collections.deque(self._kept())
        self._lock = threading.Lock()

    def _kept(self):
        kept = files.read_json(self._path) if self._path else None
        if not isinstance(kept, list):
            return []
        now, wall = self._clock(), self._wall()
        # A clock that was set back must not let more be done.
        return sorted(now - max(wall - one, 0) for one in kept
                      if isinstance(one, (int, float)))

    def _keep(self):
        if self._path is None:
            return
        now, wall = self._clock(), self._wall()
        files.write_json(self._path, [
            wall - (now - one) for one in self._times])

    def _expire(self):
        while self._times and self._clock() - self._times[0] >= HOUR:
            self._times.popleft()

    def room(self, allowed):
        """How many more are within ``allowed`` an hour."""
        with self._lock:
            self._expire()
            return max(0, allowed - len(self._times))

    def take(self, allowed):
        """Count one repair if it is within ``allowed``; returns whether.

        What cannot be counted durably may not be done.
        """
        with self._lock:
            self._expire()
            if len(self._times) >= allowed:
                return False
            self._times.append(self._clock())
            try:
                self._keep()
            except OSError as error:
                self._times.pop()
                LOG.error('A repair could not be counted in %(path)s and is '
                          'left: %(error)s',
                          {'path': self._path, 'error': error})
                return False
            return True
