"""The servers of one database, and the choice of one for each query."""

import contextlib
import functools
import threading
import typing
from collections import abc

from oslo_config import cfg
from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc

from computed import clock as system_clock
from computed import context as computed_context
from computed import exception
from computed.db.engine import address
from computed.db.routing import answers
from computed.db.routing import budget
from computed.db.routing import exact
from computed.db.routing import heartbeat as heartbeat_module
from computed.db.routing import incarnation
from computed.db.routing import lag
from computed.db.routing import nodes
from computed.db.routing import primary
from computed.db.routing import read_stats
from computed.db.routing import replica
from computed.db.routing import tolerant
from computed.db.routing import transaction

Context = computed_context.RequestContext
Call = abc.Callable[[], typing.Any]


class Router:
    """Every server of one database, and the choice between them.

    :ivar primary: the server that takes writes
    :ivar replicas: ``{name: replica}``
    :ivar incarnation: of the database, as far as this conductor knows
    """

    def __init__(self, settings: cfg.ConfigOpts.GroupAttr,
                 connection: address.Url,
                 replicas: abc.Iterable[address.Url] = (),
                 tolerant_threads: int = 32,
                 clock: abc.Callable[[], float] = system_clock.monotonic,
                 creator: nodes.Creator | None = None) -> None:
        """Make the pools; the first query connects.

        :param settings: the group ``[database]``; its mutable options are
            looked up at each read
        :param tolerant_threads: how many reads may run on replicas at once
        :param clock: returns monotonic seconds
        :param creator: makes each connection; None: the driver does
        """
        self.settings = settings
        self.clock = clock
        self.incarnation = incarnation.Incarnation(clock)
        self.heartbeats = lag.Heartbeats()
        self.read_stats = read_stats.ReadStats()
        self.primary = primary.Primary(
            connection, settings, self.incarnation, creator)
        self._replicas = tolerant.Replicas(
            [replica.Replica(url, settings, clock, creator)
             for url in replicas], self.heartbeats, tolerant_threads)
        self.replicas = self._replicas.all
        self.budget = budget.Budget(
            lambda: settings.fallback_reads_per_second,
            lambda: settings.fallback_concurrency, clock)
        self._answers = answers.Answers(
            self.primary, self.heartbeats, self.read_stats,
            lambda: settings.replica_timeout, clock)
        self._tolerant = tolerant.TolerantReads(
            settings, self.primary, self._replicas, self._answers,
            self.budget, self.read_stats, self.observe_incarnation)
        self._exact = exact.ExactReads(
            self.primary, self._replicas, self._answers,
            lambda: settings.max_replica_lag, clock)
        self._resync = threading.BoundedSemaphore(
            settings.resync_concurrency)

    def use_passwords(self, connection: address.Url,
                      replicas: abc.Iterable[address.Url]) -> bool:
        """Make new connections with the users and passwords of these URLs.

        :returns: whether they name the servers of this router, and no others
        """
        names = {address.show(url): url for url in replicas}
        known = [
            self.primary.use_password(connection),
            self.primary.heartbeats.use_password(connection),
            *(replica.use_password(names.pop(name))
              for name, replica in self.replicas.items() if name in names)]
        return all(known) and not names and (
            len(known) == 2 + len(self.replicas))

    def read(self, query: str, call: Call, context: Context,
             covered: bool = False) -> typing.Any:
        """Run a query function on a node that ``context`` allows.

        :param query: its name in metrics
        :param call: the query function with its arguments
        :param covered: see
            :meth:`computed.db.routing.database.Database.read_of_host`
        :raises computed.exception.PutOff: no node may answer it now
        :raises computed.exception.PrimaryUnavailable: the read is strict, and
            the primary does not answer
        """
        scope = transaction.open_scope(context)
        if scope is not None:
            self.read_stats.read(query, scope.node, 'in_transaction')
            return call()
        read = answers.Read(query, call, context, covered)
        with self._resync_place(read):
            if context.after is not None:
                return self._exact.read(read, context.after)
            if context.lag_tolerant:
                return self._tolerant.read(read)
            return self._answers.on_primary(read, 'strict')

    @contextlib.contextmanager
    def _resync_place(self, read: answers.Read) -> abc.Iterator[None]:
        """Hold a place while a host reads everything again.

        :raises computed.exception.ResyncFull: none is free
        """
        if not read.context.resync:
            yield
            return
        if not self._resync.acquire(blocking=False):
            self.read_stats.refusal(read.query, 'resync_full')
            raise exception.ResyncFull(retry_after=1.0)
        try:
            yield
        finally:
            self._resync.release()

    def write(self, name: str, call: Call, context: Context,
              heartbeat: bool = False, ours: bool = False) -> typing.Any:
        """Run a statement function on the primary, in a transaction.

        :param name: of the function, for errors
        :param heartbeat: see :meth:`computed.db.routing.primary.Primary.run`
        :param ours: see there too
        :raises: see :meth:`computed.db.routing.database.Database.write`
        """
        scope = transaction.open_scope(context)
        if (context.lag_tolerant or context.after is not None or
                (scope and not scope.writes)):
            raise exception.ReadOnlyScope(function=name)
        if scope is not None:
            return call()
        if self.incarnation.number is None and not heartbeat:
            # What is written without it could not be compared later.
            self.incarnation.adopt(self.observe_incarnation())
        try:
            number, result, scope = self._repeated(
                call, context, heartbeat, ours)
        except db_exc.DBDeadlock as error:
            raise exception.WriteConflict() from error
        for host, revision in scope.revisions.items():
            context.tokens.advance(
                self.incarnation.database_id, number, host, revision)
        for call in scope.afterwards:
            call()
        return result

    # A deadlock victim was rolled back as a whole, so repeating is safe. On
    # Galera the second of two conflicting commits is a victim, often.
    @oslo_db_api.wrap_db_retry(retry_interval=0.05, max_retry_interval=0.5,
                               max_retries=8, retry_on_deadlock=True)
    def _repeated(self, call: Call, context: Context, heartbeat: bool,
                  ours: bool) -> tuple[str | None, typing.Any,
                                       transaction.Scope]:
        def begun() -> tuple[str | None, typing.Any]:
            # The incarnation in which the write begins. Another one may
            # begin before the write ends.
            return self.incarnation.number, call()

        (number, result), scope = self.primary.run(
            begun, context, True, heartbeat, ours)
        return number, result, scope

    def observe_incarnation(self) -> str:
        """Return the incarnation of the database; a write finds it out.

        :raises computed.exception.PrimaryUnavailable: it is not known
        """
        context = computed_context.new()
        try:
            return self.write('observe', functools.partial(
                incarnation.current, context), context, heartbeat=True)
        except exception.CommitUnknown as error:
            # What it writes, the next one finds.
            raise exception.PrimaryUnavailable() from error

    def next_heartbeat(self, now: float) -> int:
        """Return the number of a heartbeat that is sent at ``now``."""
        return self.heartbeats.next(
            now, {replica.seen for replica in self.replicas.values()})

    def send_heartbeat(self, conductor_id: str,
                       number: int) -> heartbeat_module.Reply:
        """See :func:`computed.db.routing.heartbeat.send`."""
        context = computed_context.new()
        return self.write('send_heartbeat', functools.partial(
            heartbeat_module.send, context, conductor_id, number),
            context, heartbeat=True, ours=True)

    def purge_heartbeats(self, dead: abc.Mapping[str, int]) -> None:
        """See :func:`computed.db.routing.heartbeat.purge`."""
        context = computed_context.new()
        self.write('purge_heartbeats', functools.partial(
            heartbeat_module.purge, context, dead),
            context, heartbeat=True)

    def status(self) -> list[dict[str, typing.Any]]:
        """Return each node's state, as ``replica list`` shows it."""
        return [self._primary_status(), *(
            {**replica.status(self.heartbeats),
             'queries': self.read_stats.of(replica)}
            for replica in self.replicas.values())]

    def _primary_status(self) -> dict[str, typing.Any]:
        away, problem = self.primary.outage.length(), None
        reason = 'takes no heartbeat' if self.primary.silent else None
        if away is not None:
            reason, problem = 'down', self.primary.outage.reason
        return {'node': self.primary.name, 'role': 'primary',
                'usable': reason is None, 'reason': reason,
                'problem': problem, 'down_for': away,
                'age': 0.0, 'share': 1.0, 'reads': None, 'ejections': None,
                'identity': self.primary.identity,
                'incarnation': self.incarnation.number,
                'fallback': self.budget.status(),
                'queries': self.read_stats.of(self.primary)}
