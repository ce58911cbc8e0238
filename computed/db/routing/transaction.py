"""An open transaction: where it is, what it has seen, and how it fails."""

import contextlib

import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed.db.engine import errors

# PostgreSQL's: it is a standby; it stopped the statement for its time.
READ_ONLY = '25006'
CANCELLED = '57014'


class NodeUnfit(Exception):
    """This replica did not do; ``args[0]`` says why."""


class AnotherServer(Exception):
    """The connection leads to a server that is not the one expected."""


class Divided(Exception):
    """The connection reads from another server than it writes to."""


@contextlib.contextmanager
def place(places, refusal):
    """Hold one of ``places``, a semaphore, without waiting for it.

    :raises: ``refusal``, if none is free
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
    :ivar identity: of the server it is open on
    """

    def __init__(self, node, writes):
        self.node = node
        self.writes = writes
        self.revisions = {}
        self.identity = None
        self.open = True


def open_scope(context):
    """The transaction open on ``context``, or None."""
    scope = getattr(context, 'db_scope', None)
    return scope if scope is not None and scope.open else None


def ensure_undivided(context, identity):
    """Refuse a connection through a proxy that splits reads from writes.

    :param identity: of the server that answers after a write, in the same
        transaction: even such a proxy asks the one that took the write
    :raises Divided: when it connected, another one answered
    """
    if context.session.connection().info['cluster']:
        return      # each node is the primary; reads wait for the others
    if identity != context.db_scope.identity:
        raise Divided(f'{context.db_scope.identity} answers reads, '
                      f'{identity} takes writes')


def is_lost(error):
    """Whether the connection broke, or there never was one."""
    if isinstance(error, db_exc.DBConnectionError |
                  db_exc.DBNonExistentDatabase):
        return True
    # Not every way to lose one is known to oslo.db. What a server itself says
    # has an SQLSTATE; SQLite, which is none, knows no such thing.
    return getattr(error, 'connection_invalidated', False) or (
        isinstance(error, sa.exc.OperationalError) and
        getattr(error.orig, 'sqlstate', '') is None)


def is_read_only(error):
    """Whether the server refused a write because it is a replica."""
    text = errors.message(error)
    return errors.sqlstate(error) == READ_ONLY or (
        '1290' in text and 'read-only' in text) or (
        'readonly database' in text)


def ran_out_of_time(error):
    """Whether a statement was ended because it, or its turn, took long; or
    none was begun, for no connection came free.
    """
    return ('database is locked' in errors.message(error) or
            isinstance(error, sa.exc.TimeoutError) or
            errors.sqlstate(error) == CANCELLED)


# Whatever a driver, SQLAlchemy or oslo.db makes of a server's trouble.
ERRORS = (db_exc.DBError, sa.exc.SQLAlchemyError)
# A query that replication cancelled, or no connection free in time: no
# fault of the server.
PASSING = (AnotherServer, db_exc.DBDeadlock, sa.exc.TimeoutError)
