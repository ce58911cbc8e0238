"""Counts of reads by node and reason, for operators and for metrics."""

import collections
import threading
import typing

from computed import metrics

if typing.TYPE_CHECKING:
    from computed.db.routing import nodes


class ReadStats:
    """Counts the reads of one conductor by query, node and reason."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reads: collections.Counter[tuple[str, str, str, str]] = (
            collections.Counter())
        # Finding a counter by its labels takes longer than counting.
        self._counters: dict[tuple[str, str, str, str], typing.Any] = {}

    def read(self, query: str, node: 'nodes.Node', reason: str) -> None:
        """Count a read of ``query`` that ``node`` answered."""
        key = node.role, node.name, query, reason
        with self._lock:
            self._reads[key] += 1
            counter = self._counters.get(key)
            if counter is None:
                counter = self._counters[key] = metrics.db_reads.labels(
                    query, node.role, reason)
        counter.inc()

    def refusal(self, query: str, reason: str) -> None:
        """Count a read of ``query`` that no node may answer."""
        metrics.db_reads_refused.labels(query, reason).inc()

    def of(self, node: 'nodes.Node') -> dict[str, dict[str, int]]:
        """Return ``{query: {reason: count}}`` of what ``node`` answered."""
        found: dict[str, dict[str, int]] = {}
        with self._lock:
            for (role, name, query, reason), count in sorted(
                    self._reads.items()):
                if (role, name) == (node.role, node.name):
                    found.setdefault(query, {})[reason] = count
        return found
