"""Report within milliseconds that a guest ended, with a pidfd for each."""

import collections
import os
import resource
import selectors
import threading
from collections import abc

from oslo_log import log as logging

from computed import clock
from computed import concurrency
from computed.logs import seldom
from computed.virt import driver
from computed.virt.process import proc

LOG = logging.getLogger(__name__)

# A callback returns at once, so its thread ends at once. Wait no longer than
# this for one that does not.
_JOIN_SECONDS = 5
# Descriptors that are left to connections, files and programs.
_SPARED = 256
# Seconds from the end of a guest until its shim has surely ended.
_REAP_AFTER = 3.0


class Watcher:
    """Call back when a watched process ended, and on demand.

    A watcher without a subscription costs nothing. A subscription costs one
    thread, and one descriptor for each watched process.
    """

    def __init__(self, reap: abc.Callable[[], object] = lambda: None) -> None:
        """:param reap: collects what a guest has left when it ended; called
            some time after that
        """
        self._lock = threading.Lock()
        self._watch: _Watch | None = None
        self._reap = reap

    def subscribe(self, callback: driver.LifecycleCallback) -> None:
        """Begin a subscription; it replaces the one before."""
        self.close()
        with self._lock:
            self._watch = _Watch(callback, self._reap)

    def close(self) -> None:
        """End the subscription and its thread."""
        with self._lock:
            watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def watch(self, uuid: str, process: proc.Process) -> None:
        """Report the end of a guest's main process.

        A second call for the same process does nothing.
        """
        with self._lock:
            if self._watch is not None:
                self._watch.add(uuid, process)

    def report(self, uuid: str) -> None:
        """Send a lifecycle event now, from the watcher's thread."""
        with self._lock:
            if self._watch is not None:
                self._watch.report(uuid)


class _Watch:
    """One subscription: its thread, and all that the thread owns."""

    def __init__(self, callback: driver.LifecycleCallback,
                 reap: abc.Callable[[], object]) -> None:
        self._callback = callback
        self._reap = reap
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[str, proc.Process]] = {}
        self._events: collections.deque[str] = collections.deque()
        self._closing = False
        self._lines = seldom.Seldom(LOG)
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = concurrency.thread('process-watcher', self._loop)
        self._thread.start()

    def add(self, uuid: str, process: proc.Process) -> None:
        with self._lock:
            if (uuid, process) in self._watched.values():
                return
            try:
                descriptor = proc.open_pidfd(process)
            except OSError as error:
                self._warn(error)
                return
            if descriptor is not None and self._is_spare(descriptor):
                os.close(descriptor)
                return
            if descriptor is not None:
                self._watched[descriptor] = (uuid, process)
                self._selector.register(descriptor, selectors.EVENT_READ)
                # Some selectors see a new descriptor only in the next
                # select().
                os.eventfd_write(self._wake, 1)
                return
        self.report(uuid)       # it ended before it could be watched

    def _is_spare(self, descriptor: int) -> bool:
        """Return whether others need the few descriptors that are left."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit == resource.RLIM_INFINITY or (
                descriptor < limit - min(_SPARED, limit // 2)):
            return False
        self._warn('so many files are open; raise the limit of open files '
                   '(LimitNOFILE)')
        return True

    def _warn(self, reason: object) -> None:
        """Say, seldom, that not all guests are watched."""
        self._lines.warn('The end of some guests is noticed by the next pass '
                         'only: %s', reason)

    def report(self, uuid: str) -> None:
        self._events.append(uuid)
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        # The lock covers both steps: after the first one the thread may
        # close the descriptor.
        with self._lock:
            self._closing = True
            os.eventfd_write(self._wake, 1)
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)

    def _loop(self) -> None:
        reap_at: float | None = None
        while True:
            left = None if reap_at is None else (
                max(0.0, reap_at - clock.monotonic()))
            uuids = [self._ended(key.fd)
                     for key, _ in self._selector.select(left)]
            if reap_at is not None and clock.monotonic() >= reap_at:
                reap_at = None
                self._reap()
            if any(uuids) and reap_at is None:
                reap_at = clock.monotonic() + _REAP_AFTER
            while self._events:
                uuids.append(self._events.popleft())
            for uuid in uuids:
                if uuid is not None and not self._closing:
                    self._call(uuid)
            if self._closing:
                self._release()
                return

    def _ended(self, descriptor: int) -> str | None:
        """Return the guest whose process ended; None for a mere wake-up."""
        if descriptor == self._wake:
            os.eventfd_read(self._wake)
            return None
        with self._lock:
            uuid, _ = self._watched.pop(descriptor)
            self._selector.unregister(descriptor)
            os.close(descriptor)
        return uuid

    def _call(self, uuid: str) -> None:
        try:
            self._callback(uuid)
        except BaseException:
            # This thread also serves all other guests, so it goes on after
            # any error.
            LOG.exception('The subscriber failed on the lifecycle event of '
                          'guest %s', uuid)

    def _release(self) -> None:
        with self._lock:
            for descriptor in self._watched:
                os.close(descriptor)
            self._selector.close()
            os.close(self._wake)
