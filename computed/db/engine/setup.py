"""How each engine is connected to, and told apart from another server."""

import contextlib
import contextvars
import os
import sqlite3
import time

import sqlalchemy as sa
from oslo_db import options
from oslo_db.sqlalchemy import engines as oslo_engines
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
    # same microsecond, and one that was promoted is another from then on. No
    # function here is volatile: a proxy that splits reads from writes would
    # take the question for a write.
    'postgresql': "CONCAT_WS('/', pg_postmaster_start_time(),"
                  " 'in recovery: ' || current_setting('in_hot_standby',"
                  " true))",
}

# What another server than the one that took the writes before does not
# share: it may lack some of them. The server's own id; the timeline, which a
# promotion ends. Of a Galera cluster it is the cluster.
LINEAGE = {
    'sqlite': "'file'",
    'mysql': "CONCAT('server ', @@server_id)",
    'postgresql': "CONCAT_WS('/', (SELECT system_identifier"
                  " FROM pg_control_system()),"
                  " substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))",
}
# Galera: a row with the cluster that the server is a node of. Any other
# server, and MySQL, which knows no such variable, has nothing to show.
CLUSTER = "SHOW STATUS LIKE 'wsrep_cluster_state_uuid'"
# A server that is to become read-only waits for the transactions under way,
# and their next write for it. Who comes too late is rolled back, and told.
GIVE_WAY = 'SET SESSION lock_wait_timeout = 2'
# Before each statement, reading or writing, the node applies all that was
# committed on any other. Only a session can say it, so once a connection.
WAIT_FOR_OTHERS = 'SET SESSION wsrep_sync_wait = 7'


def register_opts(conf):
    """Add oslo.db's own options (``connection`` and so on) to ``conf``."""
    conf.register_opts(options.database_opts, group='database')


def address(url):
    """How a node is shown: host, port and database, never a password."""
    url = sa.make_url(url)
    if url.get_backend_name() == 'sqlite':
        return url.database or ':memory:'
    host = f'{url.host}:{url.port}' if url.port else url.host
    # libpq takes several, and finds out which is the primary.
    several = url.normalized_query.get('host', ())
    return f'{host or ",".join(several)}/{url.database}'


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


def single(url):
    """An engine of its own for a :func:`prepared` URL, and no pool's.

    It tries once to connect, so that a node that is down holds up nobody.
    """
    # As oslo.db's pools have it; of another mode the library warns.
    return oslo_engines.create_engine(url, max_retries=0,
                                      mysql_sql_mode='TRADITIONAL')


def identity_sql(engine):
    """An SQL expression that names the server ``engine`` is connected to."""
    if engine.dialect.name == 'sqlite':
        path = os.path.realpath(engine.url.database or ':memory:')
        return "'" + path.replace("'", "''") + "'"
    return IDENTITY[_make(engine)]


def server(session):
    """A column that names the server which answers in ``session``."""
    return sa.literal_column(
        identity_sql(session.connection().engine)).label('server')


def lineage_sql(engine):
    """An SQL expression for what changes when another server takes over.

    On PostgreSQL only the primary can tell.
    """
    return LINEAGE[_make(engine)]


def _make(engine):
    # What the URL calls mariadb speaks as mysql does.
    name = engine.dialect.name
    return 'mysql' if name == 'mariadb' else name


def tune(engine, must_exist=False, strict=False):
    """Make every connection of ``engine`` behave, and know its server.

    Of a connection's ``info``, ``identity`` names the server; ``cluster`` is
    that of a Galera node, else None. Every node of a cluster is the primary
    as much as any other, so for a strict engine the cluster is the server.

    :param must_exist: do not let SQLite make a file that is missing
    :param strict: never show what is older than the last commit
    """
    sqlite = engine.dialect.name == 'sqlite'
    if sqlite and must_exist:
        event.listen(engine, 'do_connect', _refuse_to_make)

    @event.listens_for(engine, 'connect')
    def _connected(dbapi_connection, record):
        cursor = dbapi_connection.cursor()
        cluster = None
        if sqlite:
            cursor.execute('PRAGMA busy_timeout = 10000')
            cursor.execute('PRAGMA journal_mode = WAL')
        elif engine.dialect.name != 'postgresql':
            cluster = _cluster(cursor)
            cursor.execute(GIVE_WAY)
        if cluster and strict:
            cursor.execute(WAIT_FOR_OTHERS)
            identity = f'galera/{cluster}'
        else:
            cursor.execute('SELECT ' + identity_sql(engine))
            identity = cursor.fetchone()[0]
        record.info.update(identity=identity, cluster=cluster)
        cursor.close()
        dbapi_connection.rollback()

    if sqlite:
        event.listen(engine, 'before_cursor_execute', _begin_immediate,
                     retval=True)
    elif engine.dialect.name == 'postgresql':
        from computed.db.engine import postgresql
        event.listen(engine, 'do_connect', postgresql.connect)
    else:
        event.listen(engine, 'do_connect', _in_time)


def _cluster(cursor):
    """The Galera cluster of the server; None if it is of none."""
    cursor.execute(CLUSTER)
    found = cursor.fetchone()
    return found[1] or None if found else None


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
    for one in _wrapped(error):
        if state := getattr(one, 'sqlstate', None):
            return state
    return None


def message(error):
    """What the driver said of ``error``, without the statement and its
    parameters: in those a user may have written anything.
    """
    return str([*_wrapped(error)][-1])


def _wrapped(error):
    """``error``, and in turn each that the one before wraps."""
    while error is not None:
        yield error
        error = (getattr(error, 'inner_exception', None) or
                 getattr(error, 'orig', None) or error.__cause__)


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
