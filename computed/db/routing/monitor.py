"""The threads that measure replicas: one that beats, one a replica.

A replica that hangs holds up its own prober and nobody else's.
"""

import functools
import threading
import time
import uuid

from oslo_log import log as logging

from computed import metrics
from computed.db.routing import nodes

LOG = logging.getLogger(__name__)

# Rounds of beats between two removals of dead conductors' rows.
PURGE_EVERY = 600


class Monitor:
    """Beats on the primary and probes each replica until stopped."""

    def __init__(self, router, outdated):
        """``outdated`` are the schemas that this code cannot work with."""
        self.router = router
        self.conductor_id = str(uuid.uuid4())
        self._stopping = threading.Event()
        self._threads = []
        self._outdated = outdated

    def start(self):
        """Start measuring; with no replica there is nothing to measure."""
        if not self.router.replicas:
            return
        for replica in self.router.replicas.values():
            metrics.replica_age_seconds.labels(replica.name).set_function(
                functools.partial(self._age, replica))
            metrics.replica_usable.labels(replica.name).set_function(
                functools.partial(getattr, replica.health, 'usable'))
        self._start('replica heartbeat', self._send_heartbeats)
        for replica in self.router.replicas.values():
            self._start(f'probe {replica.name}', self._probe, replica)

    def _start(self, name, target, *args):
        thread = threading.Thread(target=target, args=args, name=name,
                                  daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self):
        """End the threads; one that hangs on a dead server is left behind.
        """
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=1)

    def _age(self, replica):
        return replica.candidate(self.router.heartbeats).age

    def _send_heartbeats(self):
        interval = self.router.settings.replica_heartbeat_interval
        rounds = 0
        while True:
            began = time.monotonic()
            self.router.primary.silent = not self._done(
                self._send, began, interval)
            if rounds % PURGE_EVERY == 0:
                self._done(self.router.purge_heartbeats, self.conductor_id)
            rounds += 1
            if self._stopping.wait(
                    max(0, interval - (time.monotonic() - began))):
                return

    def _send(self, began, interval):
        # Sending begins here: whatever is committed from now on may be
        # missing where this beat has arrived.
        number = self.router.next_heartbeat(began)
        taken = self.router.send_heartbeat(
            self.conductor_id, number, interval)
        self.router.incarnation.adopt(taken.incarnation)
        self.router.budget.conductors = max(1, taken.conductors)

    def _done(self, function, *args):
        """Whether the primary has taken it; the next one may get through."""
        try:
            function(*args)
        except Exception as error:
            LOG.warning('No heartbeat could be written to the primary: %s',
                        error)
            return False
        return True

    def _probe(self, replica):
        interval = self.router.settings.replica_probe_interval
        while not self._stopping.is_set():
            replica.probe(self.conductor_id, self._expected,
                          self.router.heartbeats)
            self._stopping.wait(interval)

    def _expected(self):
        return nodes.Expected(self.router.incarnation.database_id,
                              self.router.primary.identity, self._outdated)
