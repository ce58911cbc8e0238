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

from computed import exception
from computed.db import engines
from computed.db import incarnation
from computed.db import models
from computed.db import nodes
from computed.db import scope as scopes

LOG = logging.getLogger(__name__)

# Stands for the identity of the primary while none takes a write.
REFUSED = 'refused to write'
# How many calls may wait for a primary that takes no heartbeat. It may hang,
# and must not hold every thread; the others are told at once.
WAITING = 8


class Primary(nodes.Node):
    """Runs query functions on the primary.

    :ivar heartbeats: the same server by connections of their own:
        heartbeats never wait behind queries, nor count among them
    :ivar silent: whether it did not take the last heartbeat; then nobody
        who could do without it waits for it, and few others
    :ivar life: which life of the database it is in, an
        :class:`computed.db.incarnation.Life`
    :ivar doubtful: whether it was away; who answers since must take a write
        before it is believed, for its name need not have changed
    """

    def __init__(self, url, settings, life):
        """``life`` is told of each life that is begun or found."""
        super().__init__(url, 'primary', settings.primary_timeout)
        self.life = life
        # One that hangs must not make every replica look old.
        self.heartbeats = nodes.Node(
            url, 'primary', max(2, 2 * settings.replica_beat_interval))
        self.silent = False
        self.doubtful = False
        self._waiting = threading.BoundedSemaphore(WAITING)

    def run(self, call, context, writes=False, heartbeat=False):
        """The result of ``call``, and the scope it ran in.

        Should another server answer than the one that takes our heartbeats,
        a write finds out which is the primary now.

        :raises computed.exception.PrimaryUnavailable: nothing was written
        :raises computed.exception.PrimaryDivided: nothing was written
        :raises computed.exception.PrimaryReadOnly: nothing was written
        :raises computed.exception.PerhapsWritten: it went away during a commit
        """
        node = self.heartbeats if heartbeat else self
        with self._place(heartbeat), self._errors(writes):
            if self.doubtful and not writes:
                self._find_out(context)
            try:
                result, scope = once(call, context, node, writes)
            except scopes.AnotherServer:
                self._find_out(context)
                result, scope = once(call, context, node, writes)
            if heartbeat and self.identity not in (None, scope.identity):
                self._find_out(context)
            elif heartbeat:
                self._is_now(scope.identity)
        return result, scope

    def _place(self, heartbeat):
        """One of the few places before a primary that is silent."""
        if heartbeat or not self.silent:
            return contextlib.nullcontext()
        return scopes.place(self._waiting, exception.PrimaryUnavailable())

    def _find_out(self, context):
        try:
            number, touched = once(functools.partial(touch, context),
                                   context, self.heartbeats, True)
        except exception.PerhapsWritten as error:
            # Whether nothing was changed or not is all the same.
            self.doubtful = True
            raise exception.PrimaryUnavailable() from error
        # First: what is written there from now on is of that life.
        self.life.learn(number)
        self._is_now(touched.identity)

    def _is_now(self, identity):
        """This server has taken a write of ours: no read of any other."""
        if self.identity not in (None, identity):
            LOG.warning('The primary is %s now; all connections to the '
                        'former one are closed.', identity)
            self.dispose()
        self.identity = identity
        self.doubtful = False

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
        except exception.PerhapsWritten:
            self.doubtful = True
            raise
        except scopes.ERRORS as error:
            if scopes.is_lost(error):
                LOG.warning('The primary does not answer: %s', error)
                self.doubtful = True
                raise exception.PrimaryUnavailable() from error
            if scopes.ran_out_of_time(error):
                raise exception.PrimaryUnavailable() from error
            if not scopes.is_read_only(error):
                raise
            self._trust_none()
            raise exception.PrimaryReadOnly() from error
        except scopes.Divided as error:
            LOG.error('Behind %(name)s %(error)s.',
                      {'name': self.name, 'error': error})
            self._trust_none()
            raise exception.PrimaryDivided() from error
        except scopes.AnotherServer as error:
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
        self.dispose()
        self.heartbeats.dispose()


def touch(context):
    """Do what only the primary allows: change nothing, unless it is another
    than before. Then another life of the database begins, before anything
    else is written. Returns which life it is in.
    """
    context.session.execute(
        sa.update(models.Database).values(id=models.Database.id)
        .execution_options(synchronize_session=False))
    scopes.ensure_undivided(context, context.session.scalar(
        sa.select(engines.server(context.session))))
    return incarnation.current(context)


def once(call, context, node, writes=False):
    """The result of ``call`` in a transaction on ``node``, and its scope."""
    token = engines.writing.set(writes)
    try:
        with transaction(context, node, writes) as scope:
            return call(), scope
    finally:
        engines.writing.reset(token)


@contextlib.contextmanager
def transaction(context, node, writes=False):
    """Open one on ``node``, for the functions called with ``context``.

    :raises computed.db.scope.AnotherServer: it is not who it was
    :raises computed.exception.PerhapsWritten: it went away in the commit
    """
    facade = node.facade.writer if writes else node.facade.reader
    scope = context.db_scope = scopes.Scope(node, writes)
    committing = False
    try:
        with facade.using(context):
            connection = context.session.connection()
            scope.identity = connection.info.get('identity')
            if node.identity not in (None, scope.identity):
                connection.detach()
                raise scopes.AnotherServer(node.name)
            yield scope
            committing = writes
    except scopes.ERRORS as error:
        if committing and scopes.is_lost(error):
            raise exception.PerhapsWritten() from error
        raise
    finally:
        scope.open = False
