"""How each engine is connected to, and told apart from another server."""

import contextlib
import contextvars
import os
import sqlite3
import time

import sqlalchemy as sa
from oslo_db import options
from sqlalchemy import event

# Set while a writing transaction begins; see _begin_immediate.
writing = contextvars.ContextVar('writing', default=False)

# By when, in monotonic seconds, the read in progress must have ended,
# whatever it waits for; None: only each single wait has a limit.
deadline = contextvars.ContextVar('deadline', default=None)

TIME_IS_OVER = 'the time for this read is over'

# What distinguishes one server from another behind the same address.
IDENTITY = {
    'mysql': "CONCAT_WS('/', @@hostname, @@port, @@server_id, @@datadir)",
    # All that a plain account may ask. No two servers began to run in the
    # same microsecond, and one that was promoted is another from then on.
    'postgresql': "CONCAT_WS('/', (SELECT system_identifier"
                  " FROM pg_control_system()), pg_postmaster_start_time(),"
                  " pg_is_in_recovery())",
}


def register_opts(conf):
    """Add oslo.db's own options (``connection`` and so on) to ``conf``."""
    conf.register_opts(options.database_opts, group='database')


def address(url):
    """How a node is shown: host, port and database, never a password."""
    url = sa.make_url(url)
    if url.get_backend_name() == 'sqlite':
        return url.database or ':memory:'
    host = f'{url.host}:{url.port}' if url.port else url.host
    return f'{host}/{url.database}'


def prepared(url, timeout=None):
    """``url`` with what this project needs of its driver.

    :param timeout: seconds to connect or to wait for an answer; None leaves
        the driver's own. What the URL says itself is kept.
    """
    url = sa.make_url(url)
    wanted = {}
    if url.get_backend_name() in ('mysql', 'mariadb'):
        # oslo.db would choose the three-byte utf8.
        wanted['charset'] = 'utf8mb4'
        if timeout is not None:
            seconds = str(max(1, round(timeout)))
            wanted.update(connect_timeout=seconds, read_timeout=seconds,
                          write_timeout=seconds)
    elif url.get_backend_name() == 'postgresql':
        wanted['application_name'] = 'computed'
        if timeout is not None:
            # Also how long to wait for an answer; see postgresql.Connection.
            wanted['connect_timeout'] = str(max(1, round(timeout)))
            # The server gives up, too, a little sooner, and can say why.
            wanted['options'] = ('-c statement_timeout='
                                 f'{max(1, round(timeout)) * 900}')
            # For a machine that is gone: nothing that is sent arrives.
            wanted['tcp_user_timeout'] = str(max(1, round(timeout)) * 1000)
    return url.update_query_dict(
        {key: value for key, value in wanted.items()
         if key not in url.query})


def identity_sql(engine):
    """An SQL expression that names the server ``engine`` is connected to."""
    if engine.dialect.name == 'sqlite':
        path = os.path.realpath(engine.url.database or ':memory:')
        return "'" + path.replace("'", "''") + "'"
    return IDENTITY[engine.dialect.name]


def tune(engine, must_exist=False):
    """Make every connection of ``engine`` behave, and know its server.

    :param must_exist: do not let SQLite make a file that is missing
    """
    sqlite = engine.dialect.name == 'sqlite'
    if sqlite and must_exist:
        event.listen(engine, 'do_connect', _refuse_to_make)

    @event.listens_for(engine, 'connect')
    def _connected(dbapi_connection, record):
        cursor = dbapi_connection.cursor()
        if sqlite:
            cursor.execute('PRAGMA busy_timeout = 10000')
            cursor.execute('PRAGMA journal_mode = WAL')
        cursor.execute('SELECT ' + identity_sql(engine))
        record.info['identity'] = cursor.fetchone()[0]
        cursor.close()
        dbapi_connection.rollback()

    if sqlite:
        event.listen(engine, 'before_cursor_execute', _begin_immediate,
                     retval=True)
    elif engine.dialect.name == 'postgresql':
        from computed.db import postgresql
        event.listen(engine, 'do_connect', postgresql.connect)
    else:
        event.listen(engine, 'do_connect', _in_time)


def _in_time(dialect, record, arguments, parameters):
    # A pool whose test of a connection ran out of time would connect anew,
    # and wait as long again.
    if time_left() == 0:
        raise dialect.loaded_dbapi.OperationalError(2013, TIME_IS_OVER)


def time_left():
    """Seconds until the deadline, at least 0; None: there is none."""
    until = deadline.get()
    return None if until is None else max(0, until - time.monotonic())


@contextlib.contextmanager
def within(seconds):
    """Let the body wait for a server for ``seconds``, all in all."""
    token = deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        deadline.reset(token)


def sqlstate(error):
    """The SQLSTATE that a server gave with ``error``, or None.

    :param error: of the driver, of SQLAlchemy or of oslo.db, which wrap one
        another
    """
    while error is not None:
        if state := getattr(error, 'sqlstate', None):
            return state
        error = (getattr(error, 'inner_exception', None) or
                 getattr(error, 'orig', None) or error.__cause__)
    return None


def _refuse_to_make(dialect, record, arguments, options):
    if not os.path.exists(arguments[0]):
        raise sqlite3.OperationalError(f'no such file: {arguments[0]}')


def _begin_immediate(connection, cursor, statement, parameters, context,
                     many):
    # A deferred transaction that reads and then writes fails at once with
    # "database is locked", whatever the busy timeout; one that says at its
    # begin that it will write waits its turn.
    if statement == 'BEGIN' and writing.get():
        statement = 'BEGIN IMMEDIATE'
    return statement, parameters
