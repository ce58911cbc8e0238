"""Where each read and write goes: decided here and nowhere else.

Query functions are decorated :func:`read`, :func:`write` or
:func:`liveness` and find ``context.session`` open on the right server.
"""

import contextlib
import functools
import threading
import time

import sqlalchemy as sa
from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import enginefacade
from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed import metrics
from computed.db import budget
from computed.db import engines
from computed.db import ladder
from computed.db import lag
from computed.db import models
from computed.db import nodes

LOG = logging.getLogger(__name__)

# Stands for the identity of the primary while none takes a write.
REFUSED = 'refused to write'

# PostgreSQL's: it is a standby; it stopped the statement for its time.
READ_ONLY = '25006'
CANCELLED = '57014'

# The context carries its transaction only where there is a database.
enginefacade.transaction_context_provider(computed_context.RequestContext)


class NodeUnfit(Exception):
    """This replica did not do; ``args[0]`` says why."""


class AnotherServer(Exception):
    """The connection leads to a server that is not the one expected."""


class Scope:
    """An open transaction on a context: where, and what it has seen.

    :ivar identity: of the server it is open on
    """

    def __init__(self, node, writes):
        self.node = node
        self.writes = writes
        self.revisions = {}
        self.identity = None
        self.open = True


class Router:
    """Every server of one database, and the choice between them.

    :param settings: the ``[database]`` group; mutable options are looked up
        at each read
    """

    def __init__(self, settings, connection, replicas=(),
                 tolerant_threads=32, clock=time.monotonic):
        self.settings = settings
        self.clock = clock
        self.primary = nodes.Node(connection, 'primary',
                                  settings.primary_timeout)
        # Heartbeats never wait behind queries, nor count among them; one
        # that hangs must not make every replica look old.
        self.heartbeats = nodes.Node(
            connection, 'primary', max(2, 2 * settings.replica_beat_interval))
        self.replicas = {replica.name: replica for replica in (
            nodes.Replica(url, settings, clock) for url in replicas)}
        self.beats = lag.Beats()
        self.database_id = None
        self.budget = budget.Budget(
            lambda: settings.fallback_reads_per_second,
            settings.fallback_concurrency, clock)
        # Frozen replicas may hold these threads; strict calls have others.
        self._tolerant = threading.BoundedSemaphore(tolerant_threads)

    # -- reads

    def read(self, function, context, args, kwargs):
        """Run a query function on the node that ``context`` calls for."""
        name = function.__name__
        call = functools.partial(function, context, *args, **kwargs)
        scope = open_scope(context)
        if scope is not None:
            metrics.db_reads.labels(
                name, scope.node.role, 'in_transaction').inc()
            with scope.node.facade.reader.allow_async.using(context):
                return call()
        if not context.lag_tolerant:
            return self._on_primary(name, call, context, 'strict')
        reason = ladder.why_none(
            self.replicas, self._bound(context),
            self.settings.replica_beat_interval,
            self.settings.replica_probe_interval)
        if reason == 'no_replica':
            return self._on_primary(name, call, context, reason)
        if reason is None:
            try:
                return self._on_some_replica(name, call, context)
            except NodeUnfit as unfit:
                reason = unfit.args[0]
        with self.budget.spend() as wait:
            if wait:
                metrics.db_reads_refused.labels(name).inc()
                raise exception.Busy(retry_after=wait)
            return self._on_primary(name, call, context, reason)

    def _bound(self, context):
        if context.max_staleness is None:
            return self.settings.max_replica_lag
        return context.max_staleness

    def _on_some_replica(self, name, call, context):
        if not self._tolerant.acquire(blocking=False):
            raise NodeUnfit('replica_busy')
        try:
            reason = 'replica_lagging'
            candidates = [replica.candidate(self.beats)
                          for replica in self.replicas.values()]
            for chosen in ladder.order(candidates, self._bound(context),
                                       self.settings.max_replica_lag):
                try:
                    return self._on_replica(
                        name, call, context, self.replicas[chosen])
                except NodeUnfit as unfit:
                    reason = unfit.args[0]
            raise NodeUnfit(reason)
        finally:
            self._tolerant.release()

    def _on_replica(self, name, call, context, replica):
        # Before the snapshot: a beat seen later need not be in it.
        seen, began = replica.seen, self.clock()
        result = refusal = None
        try:
            with engines.within(self.settings.replica_timeout), \
                    self._transaction(context, replica) as scope:
                result = call()
        except exception.ComputedError as error:
            # An answer too ("not found"), and no better than its age.
            refusal = error
        except (AnotherServer, db_exc.DBDeadlock,
                sa.exc.TimeoutError) as error:
            # A query cancelled by replication, or a full pool.
            raise NodeUnfit('replica_failed') from error
        except (db_exc.DBError, sa.exc.SQLAlchemyError) as error:
            # If it is the query's fault the primary will say so.
            if engines.sqlstate(error) != CANCELLED:
                replica.failed(f'read failed ({type(error).__name__})')
            raise NodeUnfit('replica_failed') from error
        now = self.clock()
        age = self.beats.age(seen, now)
        if age > self._bound(context):
            raise NodeUnfit('replica_lagging')
        if not context.tokens.satisfied_by(self.database_id,
                                           scope.revisions):
            raise NodeUnfit('replica_behind_token')
        replica.answered(now - began)
        self._note(name, context, scope, 'lag_tolerant', age)
        if refusal is not None:
            raise refusal
        return result

    def _on_primary(self, name, call, context, reason):
        began = self.clock()
        result, scope = self._run_on_primary(call, context, self.primary)
        self._note(name, context, scope, reason, self.clock() - began)
        return result

    def _note(self, name, context, scope, reason, age):
        metrics.db_reads.labels(name, scope.node.role, reason).inc()
        revision = next(iter(scope.revisions.values()), None)
        context.reads.note(computed_context.Origin(
            scope.node.role, scope.node.name, reason, age, revision))

    # -- writes

    def write(self, function, context, args, kwargs, node=None):
        """Run a statement function on the primary, in a transaction."""
        call = functools.partial(function, context, *args, **kwargs)
        scope = open_scope(context)
        if context.lag_tolerant or (scope and not scope.writes):
            raise exception.ReadOnlyScope(function=function.__name__)
        if scope is not None:
            with scope.node.facade.writer.using(context):
                return call()
        return self._write(call, context, node or self.primary)

    # A deadlock victim was rolled back whole, so repeating is safe.
    @oslo_db_api.wrap_db_retry(max_retries=5, retry_on_deadlock=True)
    def _write(self, call, context, node):
        result, scope = self._run_on_primary(call, context, node, True)
        if node is self.heartbeats:
            self._primary_is(scope.identity)
        for host, revision in scope.revisions.items():
            context.tokens.advance(self.database_id, host, revision)
        return result

    def _run_on_primary(self, call, context, node, writes=False):
        """The result of ``call``, and the scope it ran in.

        Should another server answer than the one that takes our heartbeats,
        a write finds out which is the primary now.
        """
        with self._primary_errors():
            try:
                return self._once(call, context, node, writes)
            except AnotherServer:
                self._once(functools.partial(touch, context), context,
                           self.heartbeats, True)
                self._primary_is(context.db_scope.identity)
                return self._once(call, context, node, writes)

    def _once(self, call, context, node, writes):
        token = engines.writing.set(writes)
        try:
            with self._transaction(context, node, writes) as scope:
                return call(), scope
        finally:
            engines.writing.reset(token)

    def status(self):
        """Each node's state, as plain values: what ``replica list`` shows.
        """
        primary = {'node': self.primary.name, 'role': 'primary',
                   'usable': True, 'reason': None, 'age': 0.0, 'share': 1.0,
                   'reads': None, 'ejections': None}
        return [primary, *(replica.status(self.beats)
                           for replica in self.replicas.values())]

    # -- transactions

    @contextlib.contextmanager
    def _transaction(self, context, node, writes=False):
        facade = node.facade.writer if writes else node.facade.reader
        scope = context.db_scope = Scope(node, writes)
        try:
            with facade.using(context):
                connection = context.session.connection()
                scope.identity = connection.info.get('identity')
                if node.identity not in (None, scope.identity):
                    connection.detach()
                    raise AnotherServer(node.name)
                yield scope
        finally:
            scope.open = False

    def _primary_is(self, identity):
        """This server has taken a write of ours: no read of any other."""
        if self.primary.identity not in (None, identity):
            LOG.warning('The primary is %s now; all connections to the '
                        'former one are closed.', identity)
            self.primary.dispose()
        self.primary.identity = identity

    @contextlib.contextmanager
    def _primary_errors(self):
        try:
            yield
        except db_exc.DBConnectionError as error:
            LOG.warning('The primary does not answer: %s', error)
            raise exception.PrimaryUnavailable() from error
        except (db_exc.DBError, sa.exc.DBAPIError) as error:
            if ('database is locked' in str(error) or
                    engines.sqlstate(error) == CANCELLED):
                raise exception.PrimaryUnavailable() from error
            if not is_read_only(error):
                raise
            # Until a server takes a write, none is trusted to be current.
            self.primary.identity = REFUSED
            self.primary.dispose()
            self.heartbeats.dispose()
            raise exception.PrimaryReadOnly() from error
        except AnotherServer as error:
            raise exception.PrimaryUnavailable() from error


def is_read_only(error):
    """Whether the server refused a write because it is a replica."""
    text = str(error)
    return engines.sqlstate(error) == READ_ONLY or (
        '1290' in text and 'read-only' in text) or (
        'readonly database' in text)


def touch(context):
    """Change nothing, in a way that only the primary allows."""
    context.session.execute(
        sa.update(models.Database).values(id=models.Database.id)
        .execution_options(synchronize_session=False))


def open_scope(context):
    """The transaction open on ``context``, or None."""
    scope = getattr(context, 'db_scope', None)
    return scope if scope is not None and scope.open else None


def saw(context, host, revision):
    """Record that the rows just read or written belong to this revision.

    Call it inside a query function. On a read it must come from the same
    statement as the rows, or a change in between would go unseen.
    """
    if host is not None and revision is not None:
        context.db_scope.revisions[host] = revision


def undo(context):
    """Roll back what the open write did: nothing of it was needed.

    Otherwise a revision that was never given would be waited for.
    """
    context.session.rollback()
    context.db_scope.revisions.clear()


_router = None


def configure(router):
    """Make ``router`` the one that query functions use."""
    global _router
    _router = router


def read(function):
    """Let a query function be answered where its context allows."""
    @functools.wraps(function)
    def wrapper(context, *args, **kwargs):
        return _router.read(function, context, args, kwargs)
    return wrapper


def write(function):
    """Let a statement function run in a transaction on the primary.

    :raises computed.exception.ReadOnlyScope: in a lag-tolerant context or
        inside a read
    :raises computed.exception.PrimaryUnavailable: nothing was written
    :raises computed.exception.PrimaryReadOnly: nothing was written
    """
    @functools.wraps(function)
    def wrapper(context, *args, **kwargs):
        return _router.write(function, context, args, kwargs)
    return wrapper


def liveness(function):
    """As :func:`write`, on a connection that only heartbeats use."""
    @functools.wraps(function)
    def wrapper(context, *args, **kwargs):
        return _router.write(function, context, args, kwargs,
                             _router.heartbeats)
    return wrapper


def database_id():
    """Which database this conductor answers for; None before it knows."""
    return _router.database_id
