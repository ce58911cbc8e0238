"""How MySQL, MariaDB and Galera are used."""

import typing
import weakref

import sqlalchemy as sa
from sqlalchemy import event

from computed.db.engine import deadline

# Galera: one row with the cluster that the server belongs to. Other servers
# have an empty value, and MySQL, which lacks the variable, has no row.
CLUSTER = "SHOW STATUS LIKE 'wsrep_cluster_state_uuid'"
# A server that becomes read-only waits for the open transactions, and their
# next write waits for the server. After 2 s that write fails and its
# transaction is rolled back.
GIVE_WAY = 'SET SESSION lock_wait_timeout = 2'
# Before each statement the node applies all commits of the other nodes. A
# node that allows dirty reads would not wait. They are variables of the
# session, so each connection sets them once.
WAIT_FOR_OTHERS = (
    'SET SESSION wsrep_sync_wait = 7, wsrep_dirty_reads = OFF')

# In the default mode, the row of a subquery in an UPDATE is locked until the
# end of the transaction.
LOCK_NO_READS = 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED'
# MySQL cannot do this, and takes that part for a comment.
END_IDLE = f'{GIVE_WAY} /*M!100300 , idle_transaction_timeout = {{seconds}} */'


def tune(engine: sa.Engine) -> None:
    """Prepare ``engine``."""
    event.listen(engine, 'do_connect', _refuse_after_deadline)
    _end_once(engine)


def lock_no_reads(engine: sa.Engine) -> None:
    """Let a write of ``engine`` lock no row that it only reads.

    It needs a binary log in the format ROW or MIXED, or none.
    """
    _run_at_connect(engine, LOCK_NO_READS)


def end_idle(engine: sa.Engine, seconds: int) -> None:
    """See :func:`computed.db.engine.setup.end_idle`; not on MySQL."""
    _run_at_connect(engine, END_IDLE.format(seconds=seconds))


def _run_at_connect(engine: sa.Engine, statement: str) -> None:
    @event.listens_for(engine, 'connect')
    def _connected(dbapi_connection: typing.Any,
                   record: typing.Any) -> None:
        with dbapi_connection.cursor() as cursor:
            cursor.execute(statement)


def ask(connection: typing.Any, question: str) -> typing.Any:
    """Run a query that reads no table, and return its row.

    So no transaction begins, although the driver's mode is not autocommit.
    """
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()


def _end_once(engine: sa.Engine) -> None:
    """Do not end a transaction twice.

    A session ends its transaction itself. Then it returns its connection to
    the pool, which rolls back what it might have left open.
    """
    ended: weakref.WeakSet[typing.Any] = weakref.WeakSet()
    dialect = engine.dialect
    commit, rollback = dialect.do_commit, dialect.do_rollback

    def do_commit(dbapi_connection: typing.Any) -> None:
        commit(dbapi_connection)
        ended.add(dbapi_connection.dbapi_connection)

    def do_rollback(dbapi_connection: typing.Any) -> None:
        if dbapi_connection.dbapi_connection not in ended:
            rollback(dbapi_connection)
            ended.add(dbapi_connection.dbapi_connection)

    @event.listens_for(engine, 'begin')
    def _begun(connection: sa.Connection) -> None:
        ended.discard(connection.connection.dbapi_connection)

    @event.listens_for(engine, 'checkout')
    def _checked_out(dbapi_connection: typing.Any, *rest: typing.Any) -> None:
        # Its user may begin a transaction without SQLAlchemy.
        ended.discard(dbapi_connection)
    dialect.do_commit = do_commit       # type: ignore[method-assign]
    dialect.do_rollback = do_rollback   # type: ignore[method-assign]


def tune_connection(cursor: typing.Any, strict: bool) -> str | None:
    """Prepare a connection.

    :param strict: a read on Galera waits for the commits of other nodes
    :returns: the Galera cluster of the server, or None
    """
    cluster = _cluster(cursor)
    cursor.execute(GIVE_WAY)
    if cluster and strict:
        cursor.execute(WAIT_FOR_OTHERS)
    return cluster


def _cluster(cursor: typing.Any) -> str | None:
    cursor.execute(CLUSTER)
    found = cursor.fetchone()
    return found[1] or None if found else None


def _refuse_after_deadline(dialect: typing.Any, record: typing.Any,
                           arguments: typing.Any,
                           parameters: typing.Any) -> None:
    # When the test of a pooled connection runs out of time, the pool makes
    # another connection, which would wait as long again.
    if deadline.time_left() == 0:
        raise dialect.loaded_dbapi.OperationalError(
            2013, deadline.TIME_IS_OVER)
