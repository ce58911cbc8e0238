"""The threads that run periodic tasks."""

import queue
from collections import abc

from oslo_log import log as logging

from computed import concurrency

LOG = logging.getLogger(__name__)


class Workers:
    """A pool of threads that a task that hangs cannot use up.

    They are daemon threads, unlike those of ``concurrent.futures``, so a task
    that hangs does not keep the process from ending.
    """

    def __init__(self, count: int) -> None:
        """Start ``count`` threads."""
        self._jobs: queue.SimpleQueue[abc.Callable[[], object] | None] = (
            queue.SimpleQueue())
        for _ in range(count):
            self.add()

    def add(self) -> None:
        """Start one more thread.

        :raises RuntimeError: the system cannot start a thread
        """
        concurrency.thread('periodic', self._work).start()

    def submit(self, job: abc.Callable[[], object]) -> None:
        """Run ``job()`` in one of the threads.

        :param job: returns true if its thread has been replaced while it
            ran; then the thread ends
        """
        self._jobs.put(job)

    def stop(self) -> None:
        """Let every thread end once it has nothing to do."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if job():
                    return
            except Exception:
                # Without its threads no task would ever run again.
                LOG.exception('An error in a thread of periodic tasks; the '
                              'thread goes on')
        self._jobs.put(None)        # for the next thread
