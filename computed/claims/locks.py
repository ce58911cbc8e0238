"""One lock for each instance, shared by tasks, operations and events.

The locks are a second line: the primary grants one claim at a time. They save
requests that it would refuse.
"""

import contextlib
import threading
from collections import abc

from oslo_concurrency import lockutils


class Locks:
    """Locks by uuid; a lock that is free takes no memory."""

    def __init__(self) -> None:
        self._locks = lockutils.Semaphores()

    def acquire(self, uuid: str, timeout: float | None = None,
                ) -> threading.Semaphore | None:
        """Take the lock of an instance.

        Any thread may release it, so a thread can hand its work to another.

        :param timeout: seconds to wait; 0: do not wait, None: no limit
        :returns: the lock, with ``release()``; None: it did not become free
        """
        lock: threading.Semaphore = self._locks.get(uuid)
        if timeout == 0:
            free = lock.acquire(blocking=False)
        else:
            free = lock.acquire(timeout=timeout)
        return lock if free else None

    @contextlib.contextmanager
    def held(self, uuid: str,
             timeout: float | None = None) -> abc.Iterator[bool]:
        """Hold the lock for the body; yield False if it was not free."""
        lock = self.acquire(uuid, timeout)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()
