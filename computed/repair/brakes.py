"""Limit what a task may change before a person has looked at it.

A broken hypervisor or an empty replica must not stop a whole host.
"""

import collections
import math
import threading
from collections import abc

from oslo_log import log as logging

from computed import clock as clock_module
from computed.repair import state

LOG = logging.getLogger(__name__)
HOUR = 3600.0
REPAIRS = 'repairs'     # the name of the count in the task's state


def limit(configured: int, instances: int) -> int:
    """Return how many repairs one pass, or one hour, may do.

    :param configured: the option; 0 stands for the greater of 10 and a
        quarter of the host's instances
    """
    return configured or max(10, instances // 4)


class Hourly:
    """Counts the repairs that one task did within the last hour.

    The count outlives the daemon: a daemon that crashes and restarts every
    minute may repair no more than one that keeps running.
    """

    def __init__(self, kept: state.State,
                 clock: abc.Callable[[], float] = clock_module.monotonic,
                 wall: abc.Callable[[], float] = clock_module.time) -> None:
        """:param kept: where the count is kept
        :param wall: returns seconds since 1970; used only to tell how long
            before this start a repair was
        :raises computed.exception.FileDamaged: the count is damaged
        """
        self._kept = kept
        self._clock = clock
        self._wall = wall
        self._times = collections.deque(self._read())
        self._lock = threading.Lock()

    def _read(self) -> list[float]:
        kept = self._kept.get(REPAIRS)
        if kept is None:
            return []
        if not isinstance(kept, list) or not all(
                isinstance(one, int | float) and math.isfinite(one)
                for one in kept):
            raise self._kept.damaged(f'its {REPAIRS} are no times')
        now, wall = self._clock(), self._wall()
        # A clock that was set back must not allow more repairs.
        return sorted(now - max(wall - one, 0) for one in kept)

    def _keep(self) -> None:
        now, wall = self._clock(), self._wall()
        self._kept.put(REPAIRS, [wall - (now - one) for one in self._times])

    def _expire(self) -> None:
        while self._times and self._clock() - self._times[0] >= HOUR:
            self._times.popleft()

    def room(self, allowed: int) -> int:
        """Return how many more repairs are within ``allowed`` per hour."""
        with self._lock:
            self._expire()
            return max(0, allowed - len(self._times))

    def take(self, allowed: int) -> bool:
        """Count one repair if it is within ``allowed`` per hour.

        :returns: whether it may be done; False also if the count cannot be
            written to disk
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
                LOG.error('A repair is not done, because it could not be '
                          'counted: %s', error)
                return False
            return True
