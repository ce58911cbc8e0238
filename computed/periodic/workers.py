"""The threads that run periodic tasks."""

import queue
import threading

from oslo_log import log as logging

LOG = logging.getLogger(__name__)


class Workers:
    """Threads that run what is submitted.

    Daemon threads, unlike those of ``concurrent.futures``: a task that hangs
    must not keep the process from ending.
    """

    def __init__(self, count):
        self._jobs = queue.SimpleQueue()
        for _ in range(count):
            self.add()

    def add(self):
        """Have one more thread."""
        threading.Thread(target=self._work, name='periodic',
                         daemon=True).start()

    def submit(self, job):
        """Run ``job()``; if it returns true, its thread has been replaced
        meanwhile and ends.
        """
        self._jobs.put(job)

    def stop(self):
        """Let every thread end once it has nothing to do."""
        self._jobs.put(None)

    def _work(self):
        while (job := self._jobs.get()) is not None:
            try:
                if job():
                    return
            except Exception:
                # With the last of the threads every task would cease.
                LOG.exception('A thread of periodic tasks stumbled')
        self._jobs.put(None)        # for the next thread
