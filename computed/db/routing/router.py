"""Takes each read and write where the ladder says it goes."""

import dataclasses
import functools
import sys
import threading
import time

import sqlalchemy as sa
from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc

from computed import context as computed_context
from computed import exception
from computed.db.engine import deadline
from computed.db.engine import errors
from computed.db.routing import budget
from computed.db.routing import heartbeat
from computed.db.routing import incarnation
from computed.db.routing import lag
from computed.db.routing import nodes
from computed.db.routing import primary
from computed.db.routing import read_stats
from computed.db.routing import selection
from computed.db.routing import tables
from computed.db.routing import transaction


@dataclasses.dataclass(frozen=True)
class Need:
    """What an answer from a replica must be.

    :ivar reason: why a replica is asked
    :ivar bound: seconds that it may be old
    :ivar revisions: ``{host: revision}`` that it must have reached
    """

    reason: str
    bound: float
    revisions: dict


class Router:
    """Every server of one database, and the choice between them.

    :param settings: the ``[database]`` group; mutable options are looked up
        at each read
    """

    def __init__(self, settings, connection, replicas=(),
                 tolerant_threads=32, clock=time.monotonic):
        self.settings = settings
        self.clock = clock
        self.incarnation = incarnation.Incarnation(clock)
        self.primary = primary.Primary(connection, settings, self.incarnation)
        self.replicas = {replica.name: replica for replica in (
            nodes.Replica(url, settings, clock) for url in replicas)}
        self.heartbeats = lag.Heartbeats()
        self.budget = budget.Budget(
            lambda: settings.fallback_reads_per_second,
            lambda: settings.fallback_concurrency, clock)
        self.read_stats = read_stats.ReadStats()
        # Frozen replicas may hold these threads; strict calls have others.
        self._tolerant = threading.BoundedSemaphore(tolerant_threads)
        self._resync = threading.BoundedSemaphore(
            settings.resync_concurrency)

    def next_heartbeat(self, now):
        """Number a beat of ours, about to be sent at ``now``."""
        return self.heartbeats.next(
            now, {replica.seen for replica in self.replicas.values()})

    # -- reads

    def read(self, name, function, context, args, kwargs):
        """Run a query function on the node that ``context`` calls for.

        :param name: what operators know the query by
        """
        call = functools.partial(function, context, *args, **kwargs)
        scope = transaction.open_scope(context)
        if scope is not None:
            self.read_stats.read(name, scope.node, 'in_transaction')
            with scope.node.facade.reader.allow_async.using(context):
                return call()
        if context.resync:
            return self._limited_resync(name, call, context)
        return self._routed(name, call, context)

    def _limited_resync(self, name, call, context):
        if not self._resync.acquire(blocking=False):
            self.read_stats.refusal(name, 'resync_full')
            raise exception.ResyncFull(retry_after=1.0)
        try:
            return self._routed(name, call, context)
        finally:
            self._resync.release()

    def _routed(self, name, call, context):
        if context.after is not None:
            return self._exactly(name, call, context)
        if not context.lag_tolerant:
            return self._on_primary(name, call, context, 'strict')
        bound = self._bound(context)
        reason = selection.why_none(
            self.replicas, bound, self.settings.replica_heartbeat_interval,
            self.settings.replica_probe_interval)
        if reason == 'no_replica':
            return self._on_primary(name, call, context, reason)
        if not self._of_this_life(name, context.tokens):
            reason = 'replica_behind_token'
        if reason is None:
            try:
                return self._on_some_replica(name, call, context, Need(
                    'lag_tolerant', bound, self._required(context)))
            except transaction.NodeUnfit as unfit:
                reason = unfit.args[0]
        return self._beyond_replicas(name, call, context, reason)

    def _required(self, context):
        token = context.tokens.of(self.incarnation.database_id)
        return token.revisions if token else {}

    def _bound(self, context):
        if context.max_staleness is None:
            return self.settings.max_replica_lag
        return context.max_staleness

    def _beyond_replicas(self, name, call, context, reason):
        """The lower rungs: the primary in the budget, any age, a refusal."""
        wait = None
        if not self.primary.silent:
            with self.budget.spend() as wait:
                if not wait:
                    try:
                        return self._on_primary(name, call, context, reason)
                    except (exception.PrimaryUnavailable,
                            exception.PrimaryReadOnly):
                        wait = None
        if context.availability:
            try:
                # Any age will do, but it must be known.
                return self._on_some_replica(name, call, context, Need(
                    computed_context.AVAILABILITY, sys.float_info.max, {}))
            except transaction.NodeUnfit:
                pass
        refusal = selection.refusal(wait, self._candidates(),
                                 self._bound(context))
        self.read_stats.refusal(name, type(refusal).__name__)
        raise refusal

    def _of_this_life(self, name, tokens):
        """Whether a replica could be shown to have what ``tokens`` ask for.

        :raises computed.exception.Resync: they are of a former life of this
            database
        """
        token = tokens.of(self.incarnation.database_id)
        if token is None:
            # Tokens of nothing but other databases prove that this request
            # came from elsewhere: the primary decides.
            return not tokens
        if token.incarnation != self.incarnation.number:
            try:
                # Or is it we who have not heard of a newer one yet?
                self.incarnation.adopt(self.observe_incarnation())
            except (exception.PrimaryUnavailable, exception.PrimaryReadOnly,
                    exception.OutcomeUnknown):
                return False
        if token.incarnation != self.incarnation.number:
            self.read_stats.refusal(name, 'Resync')
            raise exception.Resync(retry_after=incarnation.resync_after(
                min(token.revisions), self.settings.resync_window,
                self.incarnation.age()))
        return True

    def _exactly(self, name, call, context):
        """As a strict read, for the price of one number on the primary.

        A replica that has reached the revision which the host has now has
        seen every change of it.
        """
        usable = [found for found in self._candidates() if found.usable]
        if not usable:
            return self._on_primary(name, call, context, 'strict')
        began = self.clock()
        revision, _ = self.primary.run(
            functools.partial(current_revision, context, context.after),
            context)
        if revision is None:
            return self._on_primary(name, call, context, 'strict')
        # Only one is tried: the others are hardly further.
        [chosen] = selection.order(usable, float('inf'), 0)[:1]
        try:
            with self._tolerant_place():
                return self._on_replica(
                    name, call, context, self.replicas[chosen],
                    Need('after_host', float('inf'),
                         {context.after: revision}), began)
        except transaction.NodeUnfit as unfit:
            reason = unfit.args[0]
        return self._on_primary(name, call, context, reason)

    def _candidates(self):
        return [replica.candidate(self.heartbeats)
                for replica in self.replicas.values()]

    def _on_some_replica(self, name, call, context, need):
        with self._tolerant_place():
            reason = 'replica_lagging'
            if need.reason == computed_context.AVAILABILITY:
                chosen = selection.least_stale(self._candidates())
            else:
                chosen = selection.order(self._candidates(), need.bound,
                                      self.settings.max_replica_lag)
            for name_of_node in chosen:
                try:
                    return self._on_replica(name, call, context,
                                            self.replicas[name_of_node], need)
                except transaction.NodeUnfit as unfit:
                    reason = unfit.args[0]
            raise transaction.NodeUnfit(reason)

    def _tolerant_place(self):
        return transaction.place(
            self._tolerant, transaction.NodeUnfit('replica_busy'))

    def _on_replica(self, name, call, context, replica, need,
                    current_at=None):
        """Read there; the answer must be what is needed.

        :param current_at: when it was last known to be current, if not by
            the replica's heartbeat
        """
        if need.revisions and replica.incarnation != self.incarnation.number:
            raise transaction.NodeUnfit('replica_behind_token')
        # Before the snapshot: a beat seen later need not be in it.
        (seen, server), began = replica.shown(), self.clock()
        result = refusal = None
        try:
            with deadline.within(self.settings.replica_timeout), \
                    replica.reading(), \
                    primary.opened(context, replica) as scope:
                result = call()
        except exception.ComputedError as error:
            # An answer too ("not found"), and no better than its age.
            refusal = error
        except transaction.PASSING as error:
            raise transaction.NodeUnfit('replica_failed') from error
        except transaction.ERRORS as error:
            # If it is the query's fault the primary will say so.
            if errors.sqlstate(error) != transaction.CANCELLED:
                replica.failed(f'read failed ({type(error).__name__})')
            raise transaction.NodeUnfit('replica_failed') from error
        if scope.identity != server:
            raise transaction.NodeUnfit('replica_failed')
        now = self.clock()
        age = (self.heartbeats.age(seen, now) if current_at is None
               else now - current_at)
        if age > need.bound:
            raise transaction.NodeUnfit('replica_lagging')
        if not computed_context.reached(scope.revisions, need.revisions):
            raise transaction.NodeUnfit('replica_behind_token')
        replica.answered(now - began)
        self._note(name, context, scope, need.reason, age, now)
        if refusal is not None:
            raise refusal
        return result

    def _on_primary(self, name, call, context, reason):
        began = self.clock()
        result, scope = self.primary.run(call, context)
        now = self.clock()
        self._note(name, context, scope, reason, now - began, now)
        return result

    def _note(self, name, context, scope, reason, age, now):
        self.read_stats.read(name, scope.node, reason)
        revision = next(iter(scope.revisions.values()), None)
        context.reads.note(computed_context.Origin(
            scope.node.role, scope.node.name, reason, age, revision), now)

    # -- writes

    def write(self, function, context, args, kwargs, **options):
        """Run a statement function on the primary, in a transaction.

        :param options: see :meth:`computed.db.routing.primary.Primary.run`
        """
        call = functools.partial(function, context, *args, **kwargs)
        scope = transaction.open_scope(context)
        if (context.lag_tolerant or context.after is not None or
                (scope and not scope.writes)):
            raise exception.ReadOnlyScope(function=function.__name__)
        if scope is not None:
            with scope.node.facade.writer.using(context):
                return call()
        return self._write(call, context, options)

    def _write(self, call, context, options):
        def begun():
            # The life it is of: at its end there may be another.
            return self.incarnation.number, call()

        try:
            (number, result), scope = self._repeated(
                begun, context, options)
        except db_exc.DBDeadlock as error:
            raise exception.WriteConflict() from error
        for host, revision in scope.revisions.items():
            context.tokens.advance(
                self.incarnation.database_id, number, host, revision)
        return result

    # A deadlock victim was rolled back whole, so repeating is safe. On
    # Galera it is whoever commits second, which happens all the time.
    @oslo_db_api.wrap_db_retry(retry_interval=0.05, max_retry_interval=0.5,
                               max_retries=8, retry_on_deadlock=True)
    def _repeated(self, call, context, options):
        return self.primary.run(call, context, writes=True, **options)

    def observe_incarnation(self):
        """Return the incarnation of the database, which a write finds out.
        """
        context = computed_context.new()
        return self.write(incarnation.current, context, (), {},
                          heartbeat=True)

    def send_heartbeat(self, conductor_id, number, interval=0):
        """See :func:`computed.db.routing.heartbeat.send`."""
        context = computed_context.new()
        return self.write(
            heartbeat.send, context, (conductor_id, number, interval), {},
            heartbeat=True, ours=True)

    def purge_heartbeats(self, conductor_id):
        """See :func:`computed.db.routing.heartbeat.purge`."""
        context = computed_context.new()
        self.write(heartbeat.purge, context, (conductor_id,), {},
                   heartbeat=True)

    def status(self):
        """Each node's state, as plain values: what ``replica list`` shows.
        """
        return [self._primary_status(), *(
            {**replica.status(self.heartbeats),
             'queries': self.read_stats.of(replica)}
            for replica in self.replicas.values())]

    def _primary_status(self):
        silent = self.primary.silent
        return {'node': self.primary.name, 'role': 'primary',
                'usable': not silent,
                'reason': 'takes no heartbeat' if silent else None,
                'age': 0.0, 'share': 1.0, 'reads': None, 'ejections': None,
                'identity': self.primary.identity,
                'incarnation': self.incarnation.number,
                'fallback': self.budget.status(),
                'queries': self.read_stats.of(self.primary)}


def current_revision(context, host):
    """The revision that ``host`` has now; None if there is no such host."""
    return context.session.scalar(
        sa.select(tables.hosts.c.revision).where(tables.hosts.c.name == host))
