"""One holder at a time of the right to change the schema of a database.

Whatever ends the session of the holder, on either machine, also ends its
turn. There is no lease that must expire.
"""

import contextlib
import dataclasses
import logging
from collections import abc

import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed import clock
from computed import exception
from computed.db.engine import address
from computed.db.engine import errors
from computed.db.engine import server_sql
from computed.db.engine import sqlite

LOG = logging.getLogger(__name__)


class Refused(Exception):
    """The schema must not be changed now; ``args[0]`` says why.

    :ivar remedy: what an operator can do
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


# Seconds after which the server ends the session of a holder that sends
# nothing, because its machine is gone or it was stopped.
SILENCE = 60
# Seconds that a statement waits for the sessions that use its table. Every
# later statement on this table waits behind it.
GIVE_WAY = 10
DIRECT = ('Connect to the server itself, not through a proxy that shares '
          'sessions, and run `computed-manage db sync` again.')


class Waiting:
    """Says for whom this process waits, and when it has waited enough.

    :ivar seconds: how long it waits
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = clock.monotonic() + seconds
        self._said = False

    def for_holder(self, who: str, remedy: str) -> None:
        """Note that ``who`` still has the turn.

        :param remedy: how to end its turn
        :raises computed.exception.SchemaBusy: this took too long
        """
        if not self._said:
            LOG.warning('Another process changes the schema: %s. Waiting for '
                        'it, at most %g s.', who, self.seconds)
            self._said = True
        if clock.monotonic() >= self._until:
            raise exception.SchemaBusy(
                holder=who, wait=self.seconds, remedy=remedy)


@dataclasses.dataclass
class Turn:
    """The right to change the schema.

    :ivar connection: what to change it with. A transaction is open on it,
        except on MariaDB, where each statement is committed by itself.
    :ivar whole: whether a failure undoes everything
    """

    connection: sa.Connection
    whole: bool = True

    def confirm(self) -> None:
        """Raise an error if the turn is lost.

        A transaction on the same session needs no check.

        :raises Refused: it is lost
        """


@contextlib.contextmanager
def turn(engine: sa.Engine, seconds: float) -> abc.Iterator[Turn]:
    """Wait for the turn, and hold it while the body runs.

    :param engine: of the database, tuned
    :param seconds: how long to wait for another holder
    :raises computed.exception.SchemaBusy: another holder did not end
    :raises Refused: the server is read-only
    """
    hold = {'sqlite': _sqlite, 'postgresql': _postgresql}.get(
        engine.dialect.name)
    if hold is None:
        from computed.db.engine import exclusive_mysql
        hold = exclusive_mysql.turn
    with hold(engine, Waiting(seconds)) as found:
        yield found


def refuse_read_only(connection: sa.Connection) -> None:
    """Refuse a replica; an administrator's account could write even to it.

    :raises Refused: the server is read-only
    """
    engine = connection.engine
    if not connection.scalar(sa.text(
            f'SELECT {server_sql.takes_writes(engine)}')):
        raise Refused(f'{address.show(engine.url)} is read-only',
                      'Let [database] connection name the primary.')


# -- SQLite: the transaction that writes

@contextlib.contextmanager
def _sqlite(engine: sa.Engine, waiting: Waiting) -> abc.Iterator[Turn]:
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
                yield Turn(connection)
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
def _postgresql(engine: sa.Engine, waiting: Waiting) -> abc.Iterator[Turn]:
    # A lock of a session would not work behind a pooler, which may give each
    # transaction another session.
    with engine.begin() as connection:
        refuse_read_only(connection)
        connection.exec_driver_sql(
            f"SET LOCAL idle_in_transaction_session_timeout = '{SILENCE}s'")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{GIVE_WAY}s'")
        while not connection.scalar(sa.select(
                sa.func.pg_try_advisory_xact_lock(KEY))):
            found = connection.execute(HOLDER, {'key': KEY}).first()
            if found is not None:
                waiting.for_holder(
                    f'session {found.pid} of {found.usename} at '
                    f'{found.client_addr or "a local socket"}',
                    f'`SELECT pg_terminate_backend({found.pid})` ends it')
            connection.exec_driver_sql('SELECT pg_sleep(0.2)')
        yield Turn(connection)
