"""Where reads went and why, counted once for operators and for metrics."""

import collections
import threading

from computed import metrics


class ReadStats:
    """Counts the reads of one conductor, by query, node and reason."""

    def __init__(self):
        self._lock = threading.Lock()
        self._reads = collections.Counter()
        # To look a counter up by its labels takes longer than to count.
        self._counters = {}

    def read(self, query, node, reason):
        """``node`` answered ``query``."""
        key = node.role, node.name, query, reason
        with self._lock:
            self._reads[key] += 1
            counter = self._counters.get(key)
            if counter is None:
                counter = self._counters[key] = metrics.db_reads.labels(
                    query, node.role, reason)
        counter.inc()

    def refusal(self, query, reason):
        """No node may answer ``query``."""
        metrics.db_reads_refused.labels(query, reason).inc()

    def of(self, node):
        """``{query: {reason: count}}`` of the reads that ``node`` answered.
        """
        found = {}
        with self._lock:
            for (role, name, query, reason), count in sorted(
                    self._reads.items()):
                if (role, name) == (node.role, node.name):
                    found.setdefault(query, {})[reason] = count
        return found
