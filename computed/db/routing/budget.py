"""The limit on tolerant reads that the primary takes without replicas."""

import contextlib
import threading
import typing
from collections import abc

# Seconds after which to ask again when the rate is 0.
NEVER = 60.0


class Budget:
    """Limits reads by their rate and by how many run at the same time.

    The rate is a token bucket that holds the reads of one second.

    :param rate: returns the reads per second; called for each read, so that
        a reload takes effect
    :param concurrency: returns how many may run at the same time
    :param clock: returns monotonic seconds
    :ivar conductors: how many conductors share both limits in equal parts
    """

    def __init__(self, rate: abc.Callable[[], float],
                 concurrency: abc.Callable[[], int],
                 clock: abc.Callable[[], float]) -> None:
        self._rate = rate
        self._concurrency = concurrency
        self._clock = clock
        self.conductors = 1
        self._lock = threading.Lock()
        self._tokens: float = max(rate(), 1)
        self._at = clock()
        self._running = 0

    def status(self) -> dict[str, typing.Any]:
        """Return the part of this conductor, as plain values."""
        with self._lock:
            return {'reads_per_second': self._rate() / self.conductors,
                    'concurrency': self._places(), 'running': self._running,
                    'conductors': self.conductors}

    def _places(self) -> int:
        return max(1, self._concurrency() // self.conductors)

    def _take(self) -> float:
        """Take one place; return 0, or the seconds to wait for one."""
        now, rate = self._clock(), self._rate() / self.conductors
        self._tokens = min(max(rate, 1),
                           self._tokens + (now - self._at) * rate)
        self._at = now
        if not rate:
            return NEVER
        if self._running >= self._places():
            return 1 / max(rate, 1)
        if self._tokens < 1:
            return (1 - self._tokens) / rate
        self._tokens -= 1
        self._running += 1
        return 0

    @contextlib.contextmanager
    def spend(self) -> abc.Iterator[float]:
        """Hold one place while the body reads.

        Yields 0 if there is a place. Else it yields the seconds after which
        to ask again; the body must not read then.
        """
        with self._lock:
            wait = self._take()
        try:
            yield wait
        finally:
            if not wait:
                with self._lock:
                    self._running -= 1
