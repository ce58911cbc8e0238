"""How many tolerant reads the primary takes in place of lost replicas."""

import contextlib
import threading


class Budget:
    """A token bucket of one second's depth, and a limit side by side.

    :param rate: callable, reads a second; looked up at each call, so that a
        reload takes effect
    :param concurrency: callable, how many at the same time
    :param clock: callable, monotonic seconds
    :ivar conductors: how many share both, each an equal part
    """

    def __init__(self, rate, concurrency, clock):
        self._rate = rate
        self._concurrency = concurrency
        self._clock = clock
        self.conductors = 1
        self._lock = threading.Lock()
        self._tokens = max(rate(), 1)
        self._at = clock()
        self._running = 0

    def status(self):
        """This conductor's part, as plain values."""
        with self._lock:
            return {'reads_per_second': self._rate() / self.conductors,
                    'concurrency': self._most(), 'running': self._running,
                    'conductors': self.conductors}

    def _most(self):
        return max(1, self._concurrency() // self.conductors)

    def _take(self):
        """Seconds to wait before trying again; 0: taken."""
        now, rate = self._clock(), self._rate() / self.conductors
        self._tokens = min(max(rate, 1),
                           self._tokens + (now - self._at) * rate)
        self._at = now
        if self._running >= self._most():
            return 1 / max(rate, 1)
        if self._tokens < 1:
            return (1 - self._tokens) / rate if rate else 60.0
        self._tokens -= 1
        self._running += 1
        return 0

    @contextlib.contextmanager
    def spend(self):
        """Hold one place while the body reads.

        Yields 0 if there was room, else the seconds after which to ask
        again; then nothing is held.
        """
        with self._lock:
            wait = self._take()
        try:
            yield wait
        finally:
            if not wait:
                with self._lock:
                    self._running -= 1
