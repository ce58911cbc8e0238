"""The primary: the one server that decides, and which server that is.

Behind its address there may be another server from one moment to the next: a
failover. What answers is the primary only if it takes a write of ours.
"""

import contextlib
import functools
import threading

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_log import log as logging
from sqlalchemy import event

from computed import exception
from computed.db.engine import server_sql
from computed.db.engine import sqlite
from computed.db.routing import incarnation
from computed.db.routing import nodes
from computed.db.routing import tables
from computed.db.routing import transaction

LOG = logging.getLogger(__name__)

# Stands for the identity of the primary while none takes a write.
REFUSED = 'refused to write'
# How many calls may wait for a primary that takes no heartbeat, and how many
# heartbeats of hosts. It may hang, and must not hold every thread; the others
# are told at once.
WAITING = 8


class Primary(nodes.Node):
    """Runs query functions on the primary.

    :ivar heartbeats: the same server by connections of their own:
        heartbeats never wait behind queries, nor count among them
    :ivar silent: whether it did not take the last heartbeat; then nobody
        who could do without it waits for it, and few others
    :ivar life: which life of the database it is in, an
        :class:`computed.db.routing.incarnation.Life`
    """

    def __init__(self, url, settings, incarnation):
        """``life`` is told of each life that is begun or found."""
        super().__init__(url, 'primary', settings.primary_timeout)
        self.incarnation = incarnation
        # One that hangs must not make every replica look old.
        self.heartbeats = nodes.Node(
            url, 'primary', max(2, 2 * settings.replica_heartbeat_interval))
        self.silent = False
        self._waiting = threading.BoundedSemaphore(WAITING)
        self._reporting = threading.BoundedSemaphore(WAITING)
        # How often it was away, and how many of these times were over when
        # a write was begun that it has taken.
        self._doubts = self._settled = 0
        self._lock = threading.Lock()
        # A pool replaces a broken connection without a word.
        self.facade.append_on_engine_create(
            lambda engine: event.listen(engine, 'invalidate', self._doubt))

    @property
    def doubtful(self):
        """Whether it was away; who answers since must take a write before it
        is believed, for its name need not have changed.
        """
        return self._settled < self._doubts

    def _doubt(self, *broken):
        with self._lock:
            self._doubts += 1

    def run(self, call, context, writes=False, heartbeat=False, ours=False):
        """The result of ``call``, and the scope it ran in.

        Should another server answer than the one that takes our heartbeats,
        a write finds out which is the primary now.

        :param ours: a heartbeat of this conductor: it never waits in line,
            for it tells whether the primary is back

        :raises computed.exception.PrimaryUnavailable: nothing was written
        :raises computed.exception.PrimaryDivided: nothing was written
        :raises computed.exception.PrimaryReadOnly: nothing was written
        :raises computed.exception.CommitUnknown: it went away during a commit
        """
        node = self.heartbeats if heartbeat else self
        with self._place(heartbeat, ours), self._errors(writes):
            if self.doubtful and not writes:
                self._find_out(context)
            doubts = self._doubts
            try:
                result, scope = once(
                    call if writes else functools.partial(
                        self._believed, call), context, node, writes)
            except transaction.AnotherServer:
                self._find_out(context)
                result, scope = once(call, context, node, writes)
            if heartbeat and self.identity not in (None, scope.identity):
                self._find_out(context)
            elif heartbeat:
                self._is_now(scope.identity, doubts)
        return result, scope

    def _believed(self, call):
        # There is a connection now. If one had broken meanwhile and this is
        # in its place, it may lead to another server of the same name.
        if self.doubtful:
            raise transaction.AnotherServer(self.name)
        return call()

    def _place(self, heartbeat, ours):
        """One of the few places before a primary that is silent."""
        if ours or not self.silent:
            return contextlib.nullcontext()
        return transaction.place(
            self._reporting if heartbeat else self._waiting,
            exception.PrimaryUnavailable())

    def _find_out(self, context):
        doubts = self._doubts
        try:
            number, touched = once(functools.partial(touch, context),
                                   context, self.heartbeats, True)
        except exception.CommitUnknown as error:
            # Whether nothing was changed or not is all the same.
            self._doubt()
            raise exception.PrimaryUnavailable() from error
        # First: what is written there from now on is of that life.
        self.incarnation.adopt(number)
        self._is_now(touched.identity, doubts)

    def _is_now(self, identity, doubts):
        """This server has taken a write of ours: no read of any other.

        :param doubts: how many there were when the write was begun
        """
        moved = self.identity not in (None, identity)
        if moved:
            LOG.warning('The primary is %s now; all connections to the '
                        'former one are closed.', identity)
            # It may still take writes, which nobody would see.
            self.heartbeats.dispose()
        # What was not yet replaced after a doubt would be so unnoticed, even
        # if the server goes away once more.
        if moved or self._settled < doubts:
            self.dispose()
        self.identity = identity
        with self._lock:
            self._settled = max(self._settled, doubts)

    @contextlib.contextmanager
    def _errors(self, writes):
        try:
            yield
        except db_exc.DBDeadlock as error:
            # A write is repeated. Of a read Galera says so when its node
            # cannot wait for the others.
            if writes:
                raise
            raise exception.PrimaryUnavailable() from error
        except exception.CommitUnknown:
            self._doubt()
            raise
        except transaction.ERRORS as error:
            if transaction.is_lost(error):
                LOG.warning('The primary does not answer: %s', error)
                self._doubt()
                raise exception.PrimaryUnavailable() from error
            if transaction.ran_out_of_time(error):
                raise exception.PrimaryUnavailable() from error
            if not transaction.is_read_only(error):
                raise
            self._trust_none()
            raise exception.PrimaryReadOnly() from error
        except transaction.Divided as error:
            LOG.error('Behind %(name)s %(error)s.',
                      {'name': self.name, 'error': error})
            self._trust_none()
            raise exception.PrimaryDivided() from error
        except transaction.AnotherServer as error:
            LOG.warning('Connections to %s lead to different servers.',
                        self.name)
            # A connection knows its server by what that was when it was
            # made; a standby promoted since is another one.
            self.dispose()
            self.heartbeats.dispose()
            raise exception.PrimaryUnavailable() from error

    def _trust_none(self):
        """Until a server takes a write, none is trusted to be current."""
        self.identity = REFUSED
        # Nor is one that took a write before it refused this one.
        self._doubt()
        self.dispose()
        self.heartbeats.dispose()


def touch(context):
    """Do what only the primary allows: change nothing, unless it is another
    than before. Then another life of the database begins, before anything
    else is written. Returns which life it is in.
    """
    context.session.execute(
        sa.update(tables.databases).values(id=tables.databases.c.id))
    transaction.ensure_undivided(context, context.session.scalar(
        sa.select(server_sql.column(context.session))))
    return incarnation.current(context)


def once(call, context, node, writes=False):
    """The result of ``call`` in a transaction on ``node``, and its scope."""
    token = sqlite.writing.set(writes)
    try:
        with opened(context, node, writes) as scope:
            return call(), scope
    finally:
        sqlite.writing.reset(token)


@contextlib.contextmanager
def opened(context, node, writes=False):
    """Open one on ``node``, for the functions called with ``context``.

    :raises computed.db.routing.transaction.AnotherServer: it is not who it was
    :raises computed.exception.CommitUnknown: it went away in the commit
    """
    facade = node.facade.writer if writes else node.facade.reader
    scope = context.db_scope = transaction.Scope(node, writes)
    committing = False
    try:
        with facade.using(context):
            connection = context.session.connection()
            scope.identity = connection.info.get('identity')
            if node.identity not in (None, scope.identity):
                connection.detach()
                raise transaction.AnotherServer(node.name)
            yield scope
            committing = writes
    except transaction.ERRORS as error:
        if committing and transaction.is_lost(error):
            raise exception.CommitUnknown() from error
        raise
    finally:
        scope.open = False
