"""One lock for each instance, shared by tasks, operations and events."""

import contextlib

from oslo_concurrency import lockutils


class Locks:
    """Locks by uuid; one that nobody holds takes no memory."""

    def __init__(self):
        self._locks = lockutils.Semaphores()

    def acquire(self, uuid, timeout=None):
        """Take the lock of an instance.

        Any thread may release it, so that work can be handed on.

        :param timeout: seconds to wait; 0 not at all, None for ever
        :returns: the lock, with ``release()``; None if it was not free
        """
        lock = self._locks.get(uuid)
        if timeout == 0:
            free = lock.acquire(blocking=False)
        else:
            free = lock.acquire(timeout=timeout)
        return lock if free else None

    @contextlib.contextmanager
    def held(self, uuid, timeout=None):
        """Hold the lock for the body; yields whether it was free."""
        lock = self.acquire(uuid, timeout)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()
