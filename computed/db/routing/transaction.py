"""An open transaction: its server, what it has seen, and how it fails."""

import contextlib
import threading
import typing
from collections import abc

import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed import context as computed_context
from computed import exception
from computed.db.engine import errors
from computed.db.engine import sqlite

if typing.TYPE_CHECKING:
    from computed.db.routing import nodes

# SQLSTATEs of PostgreSQL: the server is a standby; it cancelled a statement.
READ_ONLY = '25006'
CANCELLED = '57014'


class NodeUnfit(Exception):
    """A replica cannot answer this read; ``args[0]`` says why."""


class AnotherServer(Exception):
    """The connection leads to a server that is not the one expected."""


class AnotherDatabase(Exception):
    """The connection leads to a database that is not the one expected.

    ``args[0]`` is its uuid.
    """


class ReadOnlyServer(Exception):
    """The connection leads to a server that takes no writes."""


class Divided(Exception):
    """The connection reads from another server than it writes to."""


@contextlib.contextmanager
def place(places: threading.Semaphore,
          refusal: Exception) -> abc.Iterator[None]:
    """Hold one of ``places`` while the body runs, without waiting for it.

    :raises: ``refusal``, if no place is free
    """
    if not places.acquire(blocking=False):
        raise refusal
    try:
        yield
    finally:
        places.release()


class Scope:
    """An open transaction on a context.

    :ivar revisions: ``{host: revision}`` of what was read or written in it
    :ivar identity: of the server that it is open on
    :ivar undone: whether it ends by a rollback, as if it had never been
    :ivar afterwards: is called once it is committed
    """

    def __init__(self, node: 'nodes.Node', writes: bool) -> None:
        self.node = node
        self.writes = writes
        self.revisions: dict[str, int] = {}
        self.identity: str | None = None
        self.open = True
        self.undone = False
        self.afterwards: list[abc.Callable[[], object]] = []


def open_scope(context: computed_context.RequestContext) -> Scope | None:
    """Return the transaction that is open on ``context``, or None."""
    scope = getattr(context, 'db_scope', None)
    return scope if scope is not None and scope.open else None


@contextlib.contextmanager
def opened(context: computed_context.RequestContext, node: 'nodes.Node',
           writes: bool = False) -> abc.Iterator[Scope]:
    """Open a transaction on ``node`` for functions called with ``context``.

    They find its connection at ``context.connection``. It ends with the body:
    by a commit, or by a rollback if the body raises.

    The primary was asked whether it takes writes when its connection left the
    pool, so no former primary answers.

    :raises AnotherDatabase: the node has another database than before
    :raises AnotherServer: the node has another identity than before
    :raises ReadOnlyServer: the address of the primary leads to a server that
        takes no writes
    :raises computed.exception.CommitUnknown: the connection broke during the
        commit
    """
    scope = context.db_scope = Scope(node, writes)
    committing = False
    token = sqlite.writing.set(writes)
    try:
        # The transaction of oslo.db keeps its connection if it cannot begin.
        with (node.engine.connect() as connection,
              connection.begin() as transaction):
            context.connection = connection
            scope.identity = connection.info.get('identity')
            try:
                ensure_database(context, connection.info.get('database'))
            except AnotherDatabase:
                connection.detach()
                raise
            if node.identity not in (None, scope.identity):
                connection.detach()
                raise AnotherServer(node.name)
            if connection.info.get('read_only'):
                connection.detach()
                raise ReadOnlyServer(node.name)
            yield scope
            committing = writes and not scope.undone
            if not committing:
                transaction.rollback()
    except ERRORS as error:
        if committing and is_lost(error):
            raise exception.CommitUnknown() from error
        raise
    finally:
        scope.open = False
        sqlite.writing.reset(token)


def ensure_database(context: computed_context.RequestContext,
                    found: str | None) -> None:
    """Refuse a transaction on a database that is not the one expected.

    :param found: the uuid of the database that it is on
    :raises AnotherDatabase: it is another one
    """
    if context.db_scope.node.database_id() not in ('', found):
        raise AnotherDatabase(found)


def ensure_undivided(context: computed_context.RequestContext,
                     identity: str) -> None:
    """Refuse a connection through a proxy that splits reads from writes.

    :param identity: of the server that answers after a write, in the same
        transaction. Even such a proxy asks the server that took the write.
    :raises Divided: another server answered when the connection was made
    """
    if context.connection.info['cluster']:
        return      # each node is a primary; reads wait for the others
    if identity != context.db_scope.identity:
        raise Divided(f'{context.db_scope.identity} answers reads, '
                      f'{identity} takes writes')


def is_lost(error: BaseException) -> bool:
    """Return whether the connection broke or could not be made.

    A file of SQLite that cannot be used counts, too.
    """
    if isinstance(error, db_exc.DBConnectionError |
                  db_exc.DBNonExistentDatabase):
        return True
    if sqlite.is_lost(errors.origin(error)):
        return True
    # oslo.db does not know every way to lose a connection. An error that the
    # server itself sent has an SQLSTATE; SQLite has no server and no SQLSTATE.
    return getattr(error, 'connection_invalidated', False) or (
        isinstance(error, sa.exc.OperationalError) and
        getattr(error.orig, 'sqlstate', '') is None)


def is_read_only(error: BaseException) -> bool:
    """Return whether the server refused a write because it is a replica."""
    text = errors.message(error)
    return errors.sqlstate(error) == READ_ONLY or (
        '1290' in text and 'read-only' in text) or (
        'readonly database' in text)


def ran_out_of_time(error: BaseException) -> bool:
    """Return whether a time limit ended a statement or a wait for one.

    The wait may be for a lock or for a free connection.
    """
    return ('database is locked' in errors.message(error) or
            isinstance(error, sa.exc.TimeoutError) or
            errors.sqlstate(error) == CANCELLED)


# What a driver, SQLAlchemy or oslo.db raises for a problem of a server.
ERRORS = (db_exc.DBError, sa.exc.SQLAlchemyError)
# Not the server's fault: another server answers, replication cancelled a
# query, or no connection came free in time.
PASSING = (AnotherServer, db_exc.DBDeadlock, sa.exc.TimeoutError)
