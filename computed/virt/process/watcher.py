"""Tells within milliseconds that an instance ended: a pidfd of each."""

import collections
import os
import selectors
import threading

from oslo_log import log as logging

from computed.virt.process import proc

LOG = logging.getLogger(__name__)

# A callback must not block, so its thread ends at once; else it is left.
_JOIN_SECONDS = 5


class Watcher:
    """Calls back when a watched process ended, or when told to.

    Costs nothing until somebody subscribes: then one thread, and one
    descriptor for each process.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._watch = None      # the _Watch of the subscription; or None

    def subscribe(self, callback):
        """Call ``callback(uuid)`` from now on, instead of another one."""
        self.close()
        with self._lock:
            self._watch = _Watch(callback)

    def close(self):
        """End the subscription and its thread."""
        with self._lock:
            watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def watch(self, uuid, process):
        """Watch the main process of an instance; doubled is harmless."""
        with self._lock:
            if self._watch is not None:
                self._watch.add(uuid, process)

    def hint(self, uuid):
        """Have the callback called soon, from the watcher's thread."""
        with self._lock:
            if self._watch is not None:
                self._watch.hint(uuid)


class _Watch:
    """One subscription: its thread, and all that the thread owns."""

    def __init__(self, callback):
        self._callback = callback
        self._lock = threading.Lock()
        self._watched = {}      # descriptor: (uuid, process)
        self._hints = collections.deque()
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = threading.Thread(
            target=self._loop, name='process-watcher', daemon=True)
        self._thread.start()

    def add(self, uuid, process):
        with self._lock:
            if (uuid, process) in self._watched.values():
                return
            try:
                descriptor = proc.open_pidfd(process)
            except OSError as error:
                LOG.warning('Cannot watch guest %s: %s', uuid, error)
                return
            if descriptor is not None:
                self._watched[descriptor] = (uuid, process)
                self._selector.register(descriptor, selectors.EVENT_READ)
                # Not every kind of selector sees it before its next turn.
                os.eventfd_write(self._wake, 1)
                return
        self.hint(uuid)     # gone before it could be watched

    def hint(self, uuid):
        self._hints.append(uuid)
        os.eventfd_write(self._wake, 1)

    def close(self):
        with self._lock:    # not between the two: the thread may be quick
            self._closing = True
            os.eventfd_write(self._wake, 1)
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)

    def _loop(self):
        while True:
            uuids = [self._ended(key.fd)
                     for key, _ in self._selector.select()]
            while self._hints:
                uuids.append(self._hints.popleft())
            for uuid in filter(None, uuids):
                if not self._closing:
                    self._call(uuid)
            if self._closing:
                self._release()
                return

    def _ended(self, descriptor):
        """The guest whose process ended; None if we were only woken."""
        if descriptor == self._wake:
            os.eventfd_read(self._wake)
            return None
        with self._lock:
            uuid, _ = self._watched.pop(descriptor)
            self._selector.unregister(descriptor)
            os.close(descriptor)
        return uuid

    def _call(self, uuid):
        try:
            self._callback(uuid)
        except BaseException:
            # Whatever it was: this thread serves all other guests too.
            LOG.exception('The callback failed for guest %s', uuid)

    def _release(self):
        with self._lock:
            for descriptor in self._watched:
                os.close(descriptor)
            self._selector.close()
            os.close(self._wake)
