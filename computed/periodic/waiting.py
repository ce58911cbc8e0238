"""Tell in the log, once for all tasks, that their runs are put off.

What puts one task off usually puts all of them off.
"""

import logging
import threading

from computed.logs import outage


class Waiting:
    """The tasks of one host that were put off, and have not run since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: set[str] = set()
        self._outage = outage.Outage(
            'Periodic tasks are put off',
            'Periodic tasks have been put off for {seconds}',
            'No periodic task is put off any more, after {seconds}.',
            level=logging.INFO)

    def lasts(self, task: str, reason: str) -> None:
        """Note that a run of ``task`` was put off; tell it once a minute."""
        with self._lock:
            self._tasks.add(task)
            self._outage.lasts(f'{", ".join(sorted(self._tasks))}: {reason}')

    def ends(self, task: str) -> None:
        """Note that ``task`` is put off no more; tell it of the last one."""
        with self._lock:
            self._tasks.discard(task)
            if not self._tasks:
                self._outage.ends()
