"""The primary, which decides, and how to find out which server it is.

A failover puts another server behind the same address at any moment. So a
server counts as the primary only after it has taken a write of ours.
"""

import contextlib
import functools
import threading
import typing
from collections import abc

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging
from sqlalchemy import event

from computed import context as computed_context
from computed import exception
from computed.db.engine import address
from computed.db.engine import errors
from computed.db.engine import setup
from computed.db.engine import sqlite
from computed.db.routing import incarnation as incarnation_module
from computed.db.routing import nodes
from computed.db.routing import transaction
from computed.logs import outage
from computed.logs import seldom

LOG = logging.getLogger(__name__)

# Stands for the identity of the primary while no server takes a write.
REFUSED = 'refused to write'
# How many calls may wait for a primary that takes no heartbeat, and how many
# heartbeats of hosts. A primary that hangs must not hold every thread. All
# other calls are refused at once.
WAITING = 8
# Seconds for which a transaction may wait for the next statement of a
# conductor, which may be paused. All heartbeats need the row of the clock of
# the cell, so theirs are the shorter ones.
IDLE = 30
IDLE_IN_HEARTBEAT = 5

T = typing.TypeVar('T')
Call = abc.Callable[[], T]


class Primary(nodes.Node):
    """Runs query functions on the primary.

    :ivar heartbeats: the same server through connections of their own:
        heartbeats neither wait for queries nor count among them
    :ivar silent: whether it did not take the last heartbeat. Then few calls
        may wait for it; see ``WAITING``.
    :ivar incarnation: gets each incarnation that begins or is found
    :ivar outage: lasts until a write succeeds
    """

    def __init__(self, url: address.Url, settings: cfg.ConfigOpts.GroupAttr,
                 incarnation: incarnation_module.Incarnation,
                 creator: nodes.Creator | None = None) -> None:
        super().__init__(url, 'primary', settings.primary_timeout, creator)
        self.incarnation = incarnation
        # The limit is short: a primary that hangs must not make every replica
        # look old.
        self.heartbeats = nodes.Node(
            url, 'primary', max(2, 2 * settings.replica_heartbeat_interval),
            creator)
        # They read the clock of the cell, which conductors write. A conductor
        # that is paused in a heartbeat must not stop the clock and, with it,
        # all other heartbeats.
        self.heartbeats.facade.append_on_engine_create(setup.lock_no_reads)
        for node, seconds in ((self, IDLE),
                              (self.heartbeats, IDLE_IN_HEARTBEAT)):
            node.database_id = self._database_id
            node.facade.append_on_engine_create(
                functools.partial(setup.end_idle, seconds=seconds))
        self.silent = False
        hint = (' (if its file is lost, put it back from a backup, and run '
                '`computed-manage db new-incarnation`)'
                if address.family(url) == 'sqlite' else '')
        self.outage = outage.Outage(
            f'Primary {self.name} is away{hint}',
            f'Primary {self.name} has been away for {{seconds}}{hint}',
            f'Primary {self.name} answers again after {{seconds}}.')
        self._seldom = seldom.Seldom(LOG)
        self._waiting = threading.BoundedSemaphore(WAITING)
        self._reporting = threading.BoundedSemaphore(WAITING)
        # How often its connections broke, and how many of these times are
        # settled: a write has succeeded that began afterwards.
        self._doubts = self._settled = 0
        self._lock = threading.Lock()
        # A pool replaces a broken connection without telling its user.
        self.facade.append_on_engine_create(
            lambda engine: event.listen(engine, 'invalidate', self._doubt))

    def _database_id(self) -> str:
        return self.incarnation.database_id

    @property
    def doubtful(self) -> bool:
        """Return whether its connections broke since the last write.

        Another server may answer now, even one with the same name. It must
        take a write before it counts as the primary.
        """
        # A second line: before each use a connection tells its server, and
        # whether that takes writes. This one also finds the incarnation of a
        # backup that was restored into the same server before the next read.
        return self._settled < self._doubts

    def _doubt(self, *broken: typing.Any) -> None:
        with self._lock:
            self._doubts += 1

    def run(self, call: Call[T], context: computed_context.RequestContext,
            writes: bool = False, heartbeat: bool = False,
            ours: bool = False) -> tuple[T, transaction.Scope]:
        """Run ``call`` in a transaction; return its result and the scope.

        If another server answers than the one that takes our heartbeats, a
        write finds out which server is the primary now.

        :param heartbeat: use the connections of heartbeats
        :param ours: it is a heartbeat of this conductor. It never waits for
            a place, because it tells whether the primary is back.
        :raises computed.exception.PrimaryUnavailable: nothing was written
        :raises computed.exception.PrimaryDivided: nothing was written
        :raises computed.exception.AnotherDatabase: nothing was read or
            written
        :raises computed.exception.PrimaryReadOnly: nothing was written
        :raises computed.exception.CommitUnknown: the connection broke during
            the commit
        :raises computed.exception.DatabaseFailed: the server has refused
        """
        node = self.heartbeats if heartbeat else self
        with self._place(heartbeat, ours), self._errors(writes):
            if self.doubtful and not writes:
                self._find_out(context)
            doubts = self._doubts
            try:
                with transaction.opened(context, node, writes) as scope:
                    # If a connection broke meanwhile, its replacement may
                    # lead to another server with the same name.
                    if self.doubtful and not writes:
                        raise transaction.AnotherServer(self.name)
                    result = call()
            except transaction.AnotherServer:
                self._find_out(context)
                with transaction.opened(context, node, writes) as scope:
                    result = call()
            if heartbeat and self.identity not in (None, scope.identity):
                self._find_out(context)
            elif heartbeat:
                self._is_now(scope.identity, doubts)
        if writes:
            self.outage.ends()
        return result, scope

    def _place(self, heartbeat: bool, ours: bool
               ) -> contextlib.AbstractContextManager[None]:
        """Hold one of the few places for a primary that is silent."""
        if ours or not self.silent:
            return contextlib.nullcontext()
        return transaction.place(
            self._reporting if heartbeat else self._waiting,
            self._unreachable(
                self.outage.reason or 'it takes no heartbeat'))

    def _find_out(self, context: computed_context.RequestContext) -> None:
        """Find out by a write which server is the primary now."""
        doubts = self._doubts
        try:
            with transaction.opened(context, self.heartbeats, True) as scope:
                number = incarnation_module.confirm(context)
        except exception.CommitUnknown as error:
            # The write changes nothing, so its outcome does not matter.
            self._doubt()
            raise exception.PrimaryUnavailable() from error
        # This comes first: all later writes belong to this incarnation.
        self.incarnation.adopt(number)
        self._is_now(scope.identity, doubts)
        self.outage.ends()

    def _is_now(self, identity: str | None, doubts: int) -> None:
        """Read from this server only, because it has taken our write.

        :param doubts: the number of doubts when the write began
        """
        moved = self.identity not in (None, identity)
        if moved:
            LOG.warning('The primary is %s now. All connections to the '
                        'former one are closed.', identity)
            # The former primary may still take writes that would be lost.
            self.heartbeats.dispose()
        # Connections that the pool has not replaced since a doubt would be
        # replaced silently later. Close them all now.
        if moved or self._settled < doubts:
            self.dispose()
        self.identity = identity
        with self._lock:
            self._settled = max(self._settled, doubts)

    @contextlib.contextmanager
    def _errors(self, writes: bool) -> abc.Iterator[None]:
        """Turn what a server or its library raises into our own errors."""
        try:
            yield
        except db_exc.DBDeadlock as error:
            # The caller repeats a write. A read gets this error from Galera
            # if its node cannot wait for the other nodes.
            if writes:
                raise
            raise self._unreachable(errors.problem(error)) from error
        except exception.CommitUnknown as error:
            self._doubt()
            self.outage.lasts(errors.problem(error))
            raise
        except transaction.ERRORS as error:
            if transaction.is_lost(error):
                self._doubt()
                raise self._away(errors.problem(error), sqlite.is_damaged(
                    errors.origin(error))) from error
            if transaction.ran_out_of_time(error):
                raise self._unreachable(errors.problem(error)) from error
            if not transaction.is_read_only(error):
                raise self._failure(error) from error
            self._trust_none()
            raise self._read_only() from error
        except transaction.ReadOnlyServer as error:
            self._trust_none()
            raise self._read_only() from error
        except transaction.AnotherDatabase as error:
            expected = self.incarnation.database_id
            self.outage.lasts(
                f'it is database {error} now, and not {expected}')
            self._close_all()
            raise exception.AnotherDatabase(
                address=self.name, found=str(error), expected=expected
                ) from error
        except transaction.Divided as error:
            self.outage.lasts(f'behind its address {error}')
            self._trust_none()
            raise exception.PrimaryDivided() from error
        except transaction.AnotherServer as error:
            # A connection keeps the identity that its server had when it was
            # made. A standby that was promoted since has another one.
            self.dispose()
            self.heartbeats.dispose()
            raise self._away(
                'connections to it lead to different servers') from error

    def _unreachable(self, problem: str) -> exception.PrimaryUnreachable:
        return address.unreachable(self.url, problem)

    def _away(self, problem: str,
              damaged: bool = False) -> exception.PrimaryUnreachable:
        self.outage.lasts(problem)
        return address.unreachable(self.url, problem, damaged)

    def _read_only(self) -> exception.PrimaryReadOnly:
        self.outage.lasts('it takes no writes')
        return exception.PrimaryReadOnly()

    def _failure(self, error: Exception) -> exception.DatabaseFailed:
        """Return our own error for one that nobody has foreseen."""
        problem = errors.problem(error)
        if isinstance(error, db_exc.DBDuplicateEntry):
            return exception.RowExists(address=self.name, problem=problem)
        self._seldom.error('%s refuses: %s', self.name, problem)
        LOG.debug('%s refuses:', self.name, exc_info=error)
        return exception.DatabaseFailed(address=self.name, problem=problem)

    def _trust_none(self) -> None:
        """Trust no server until one takes a write."""
        # A second line beside the doubt that follows. It also lets the server
        # that refused be a replica: it is not taken for the primary itself.
        self.identity = REFUSED
        self._close_all()

    def _close_all(self) -> None:
        """Let a server take a write before any other use of it."""
        # Even a server that took a write before this.
        self._doubt()
        self.dispose()
        self.heartbeats.dispose()
