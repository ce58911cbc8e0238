"""How a connection to any kind of server is made and prepared."""

import functools
import typing

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import engines as oslo_engines
from oslo_db.sqlalchemy import exc_filters
from sqlalchemy import event

from computed.db.engine import mysql
from computed.db.engine import primary_check
from computed.db.engine import server_sql
from computed.db.engine import sqlite


def single(url: sa.URL) -> sa.Engine:
    """Make an engine for a URL from :func:`address.prepare`.

    It tries once to connect, so that a server that is down delays no caller.
    """
    # This is the mode of oslo.db's pools; it warns of any other.
    return oslo_engines.create_engine(url, max_retries=0,
                                      mysql_sql_mode='TRADITIONAL')


def tune(engine: sa.Engine, must_exist: bool = False,
         strict: bool = False) -> None:
    """Prepare every connection of ``engine`` and note its server.

    A connection's ``info`` then has ``identity``, the server's name, and
    ``cluster``, the Galera cluster of the server or None. In a cluster every
    node is a primary, so a strict engine takes the cluster for the server.
    A strict connection to a server that takes no writes also has
    ``read_only``, and each strict one has ``database``, the uuid of the
    database.

    :param must_exist: do not let SQLite create a file that is missing
    :param strict: no answer is older than the last commit; see
        :mod:`computed.db.engine.primary_check`
    """
    ask = _tune_driver(engine, must_exist)
    check = (primary_check.PrimaryCheck(engine, ask)
             if strict and ask else None)
    _translate(engine)

    event.listen(engine, 'connect', functools.partial(
        _describe, engine, check, strict))


def _describe(engine: sa.Engine, check: primary_check.PrimaryCheck | None,
              strict: bool, dbapi_connection: typing.Any,
              record: typing.Any) -> None:
    """Prepare a new connection, and note where it leads to."""
    cursor, kind = dbapi_connection.cursor(), engine.dialect.name
    cluster, writable = None, True
    if kind == 'sqlite':
        sqlite.tune_connection(cursor)
    elif kind != 'postgresql':
        cluster = mysql.tune_connection(cursor, strict)
    if cluster and strict:
        server = f'galera/{cluster}'
    elif check:
        server, writable = check.connected(dbapi_connection)
    else:
        cursor.execute('SELECT ' + server_sql.identity(engine))
        server = cursor.fetchone()[0]
    record.info.update(identity=server, cluster=cluster,
                       read_only=not writable)
    if strict:
        cursor.execute(f'SELECT {server_sql.DATABASE}')
        record.info['database'] = cursor.fetchone()[0]
    cursor.close()
    dbapi_connection.rollback()


def _tune_driver(engine: sa.Engine,
                 must_exist: bool) -> primary_check.Ask | None:
    """Prepare what one kind of server needs; return how to ask it."""
    if engine.dialect.name == 'sqlite':
        sqlite.tune(engine, must_exist)
        return sqlite.ask
    if engine.dialect.name == 'postgresql':
        # It is imported only here, because psycopg is an extra.
        from computed.db.engine import postgresql
        postgresql.tune(engine)
        return postgresql.ask
    mysql.tune(engine)
    return mysql.ask


def _translate(engine: sa.Engine) -> None:
    """Let each failure to get a connection be a ``DBConnectionError``.

    oslo.db knows some of them by their texts. It does not know a server that
    has too many connections, a wrong password, or errors that a driver does
    not count among its own.
    """
    dialect = engine.dialect
    connect = dialect.connect

    def connected(*arguments: typing.Any, **parameters: typing.Any
                  ) -> typing.Any:
        try:
            return connect(*arguments, **parameters)
        except Exception as error:
            raise db_exc.DBConnectionError(error) from error
    dialect.connect = connected     # type: ignore[method-assign]
    # It comes before the handler of oslo.db, which would raise an error of
    # another kind, or log a traceback.
    event.remove(engine, 'handle_error', exc_filters.handler)
    for handler in (_not_connected, exc_filters.handler):
        event.listen(engine, 'handle_error', handler, retval=True)


def _not_connected(context: sa.ExceptionContext) -> None:
    # The pool itself handles a connection that fails its test.
    if (context.connection is None and not context.is_pre_ping and
            not isinstance(context.original_exception, db_exc.DBError)):
        raise db_exc.DBConnectionError(
            context.original_exception) from context.original_exception


def lock_no_reads(engine: sa.Engine) -> None:
    """Let a write of ``engine`` lock no row that it only reads.

    Other writers need not wait for it then. On PostgreSQL and SQLite it is so
    anyway.
    """
    if engine.dialect.name not in ('sqlite', 'postgresql'):
        mysql.lock_no_reads(engine)


def end_idle(engine: sa.Engine, seconds: int) -> None:
    """Let the server end a transaction that waits for its client too long.

    A client that is paused in a transaction holds the locks of the rows that
    it wrote. The server closes its connection and gives the rows free. MySQL
    and SQLite cannot do this.

    :param seconds: how long it may wait for the next statement
    """
    if engine.dialect.name == 'postgresql':
        from computed.db.engine import postgresql
        postgresql.end_idle(engine, seconds)
    elif engine.dialect.name != 'sqlite':
        mysql.end_idle(engine, seconds)
