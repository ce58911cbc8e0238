"""The threads that measure replicas: one sends heartbeats, one probes each.

A replica that hangs delays only its own prober.
"""

import functools
import threading
import typing
from collections import abc

from oslo_log import log as logging

from computed import chance
from computed import concurrency
from computed import exception
from computed import metrics
from computed.db.routing import lag
from computed.db.routing import nodes
from computed.db.routing import peers
from computed.db.routing import replica as replica_module

if typing.TYPE_CHECKING:
    from computed.db.routing import router as router_module

LOG = logging.getLogger(__name__)

# How many heartbeats lie between two removals of dead conductors' rows.
PURGE_EVERY = 600
# Seconds of silence after which a conductor is dead and its row is removed.
DEAD_AFTER = 600
# Seconds of silence, but at least three heartbeats, after which a conductor
# has no part in the budget.
LIVE_FOR = 10


class Monitor:
    """Sends heartbeats to the primary and probes each replica.

    :ivar conductor_id: names this conductor among those that send heartbeats
    """

    def __init__(self, router: 'router_module.Router',
                 outdated: abc.Collection[str]) -> None:
        """:param outdated: the schemas that this code cannot work with"""
        self.router = router
        self.conductor_id = chance.uuid()
        self._stopping = threading.Event()
        self._threads: list[concurrency.Thread] = []
        self._outdated = outdated
        self._peers = peers.Peers()

    def start(self) -> None:
        """Start measuring; without replicas, do nothing."""
        if not self.router.replicas:
            return
        for replica in self.router.replicas.values():
            metrics.replica_age_seconds.labels(replica.name).set_function(
                functools.partial(self._age, replica))
            metrics.replica_usable.labels(replica.name).set_function(
                functools.partial(getattr, replica.health, 'usable'))
        self._start('replica heartbeat', self._run_heartbeats)
        for replica in self.router.replicas.values():
            self._start(f'probe {replica.name}', self._run_probes, replica)

    def _start(self, name: str, target: abc.Callable[..., None],
               *args: object) -> None:
        thread = concurrency.thread(name, target, *args)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        """End the threads.

        Wait up to 1 s for each; one that hangs on a dead server is left.
        """
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=1)

    def _age(self, replica: replica_module.Replica) -> float:
        return replica.candidate(self.router.heartbeats).age

    def _run_heartbeats(self) -> None:
        interval = self.router.settings.replica_heartbeat_interval
        rounds = 0
        while True:
            began = self.router.clock()
            self.router.primary.silent = not self._succeeds(
                self._send, began, interval)
            dead = self._peers.dead(began, DEAD_AFTER)
            if rounds % PURGE_EVERY == 0 and dead:
                self._succeeds(self.router.purge_heartbeats, dead)
            rounds += 1
            if self._stopping.wait(
                    max(0, interval - (self.router.clock() - began))):
                return

    def _send(self, began: float, interval: float) -> None:
        # The heartbeat counts from before it is sent: a replica that has it
        # may lack what is committed from now on.
        number = self.router.next_heartbeat(began)
        reply = self.router.send_heartbeat(self.conductor_id, number)
        now = self.router.clock()
        lag.compare(self.router.heartbeats, 'the primary', began, reply.time,
                    now, interval)
        self.router.incarnation.adopt(reply.incarnation)
        self._peers.observe(reply.shown, now)
        self.router.budget.conductors = max(1, self._peers.live(
            now, max(LIVE_FOR, 3 * interval)))

    def _succeeds(self, function: abc.Callable[..., None],
                  *args: object) -> bool:
        """Return whether the primary took a write; tell it if not."""
        try:
            function(*args)
        except exception.ComputedError as error:
            self.router.primary.outage.lasts(
                error.kwargs.get('problem') or str(error))
            return False
        except Exception:       # the next heartbeat may succeed
            LOG.exception('No heartbeat could be written to the primary.')
            return False
        return True

    def _run_probes(self, replica: replica_module.Replica) -> None:
        interval = self.router.settings.replica_probe_interval
        while not self._stopping.is_set():
            replica.probe(self.conductor_id, self._expected,
                          self.router.heartbeats)
            self._stopping.wait(interval)

    def _expected(self) -> nodes.Expected:
        primary = self.router.primary
        return nodes.Expected(
            self.router.incarnation.database_id, primary.identity,
            self._outdated, primary.outage.length() is not None)
