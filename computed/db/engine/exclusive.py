"""One holder at a time of the right to change the schema of a database.

Whatever ends the session of the holder, on either machine, also ends its
turn. There is no lease that must expire.
"""

import contextlib
from collections import abc

import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed.db.engine import address
from computed.db.engine import errors
from computed.db.engine import exclusive_mysql
from computed.db.engine import sqlite
from computed.db.engine import turns


@contextlib.contextmanager
def turn(engine: sa.Engine, seconds: float) -> abc.Iterator[turns.Turn]:
    """Wait for the turn, and hold it while the body runs.

    :param engine: of the database, tuned
    :param seconds: how long to wait for another holder
    :raises computed.exception.SchemaBusy: another holder did not end
    :raises turns.Refused: the server is read-only
    """
    hold = {'sqlite': _sqlite, 'postgresql': _postgresql}.get(
        engine.dialect.name, exclusive_mysql.turn)
    with hold(engine, turns.Waiting(seconds)) as found:
        yield found


# -- SQLite: the transaction that writes

@contextlib.contextmanager
def _sqlite(engine: sa.Engine, waiting: turns.Waiting
            ) -> abc.Iterator[turns.Turn]:
    with engine.connect() as connection:
        connection.exec_driver_sql('PRAGMA busy_timeout = 500')
        connection.rollback()
        token = sqlite.writing.set(True)
        try:
            while (transaction := _begun(connection)) is None:
                path = address.show(engine.url)
                waiting.for_holder(f'it has locked {path}',
                                   f'`fuser -v {path}` shows it')
            with transaction:
                yield turns.Turn(connection)
        finally:
            sqlite.writing.reset(token)


def _begun(connection: sa.Connection) -> sa.RootTransaction | None:
    try:
        return connection.begin()
    except (db_exc.DBError, sa.exc.SQLAlchemyError) as error:
        if 'database is locked' not in errors.message(error):
            raise
        return None


# -- PostgreSQL: a lock of the transaction that writes

# 'computed' as a number. A lock belongs to one database of the server.
KEY = int.from_bytes(b'computed', 'big')
HOLDER = sa.text("""
    SELECT pid, usename, client_addr
    FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND pg_locks.database = (
        SELECT oid FROM pg_database WHERE datname = current_database())
    AND (pg_locks.classid::bigint << 32) + pg_locks.objid::bigint = :key""")


@contextlib.contextmanager
def _postgresql(engine: sa.Engine, waiting: turns.Waiting
                ) -> abc.Iterator[turns.Turn]:
    # A lock of a session would not work behind a pooler, which may give each
    # transaction another session.
    with engine.begin() as connection:
        turns.refuse_read_only(connection)
        for name, seconds in (
                ('idle_in_transaction_session_timeout', turns.SILENCE),
                ('lock_timeout', turns.GIVE_WAY)):
            connection.exec_driver_sql(f"SET LOCAL {name} = '{seconds}s'")
        while not connection.scalar(sa.select(
                sa.func.pg_try_advisory_xact_lock(KEY))):
            found = connection.execute(HOLDER, {'key': KEY}).first()
            if found is not None:
                waiting.for_holder(
                    f'session {found.pid} of {found.usename} at '
                    f'{found.client_addr or "a local socket"}',
                    f'`SELECT pg_terminate_backend({found.pid})` ends it')
            connection.exec_driver_sql('SELECT pg_sleep(0.2)')
        yield turns.Turn(connection)
