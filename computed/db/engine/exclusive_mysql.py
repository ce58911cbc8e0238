"""One holder at a time on MySQL, MariaDB and Galera; see ``exclusive``."""

import contextlib
from collections import abc

import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed.db.engine import errors
from computed.db.engine import mysql
from computed.db.engine import turns

# -- MySQL and MariaDB: a named lock of the session; names are of the server

NAME = "CONCAT('computed schema ', MD5(DATABASE()))"
HELD = f'SELECT IS_USED_LOCK({NAME}) <=> CONNECTION_ID()'
# Sessions of other accounts are not shown to everybody.
OWNER = f"""
    SELECT held.id, COALESCE(user, 'another account'), COALESCE(host, '?')
    FROM (SELECT IS_USED_LOCK({NAME}) AS id) AS held
    LEFT JOIN information_schema.processlist AS p ON p.id = held.id
    WHERE held.id IS NOT NULL"""


class _Named(turns.Turn):
    """A turn that is a named lock of its own session."""

    def confirm(self) -> None:
        """See the base class."""
        if not self.connection.scalar(sa.text(HELD)):
            raise turns.Refused('this session has lost its lock',
                                    turns.DIRECT)


@contextlib.contextmanager
def turn(engine: sa.Engine, waiting: turns.Waiting
         ) -> abc.Iterator[turns.Turn]:
    """See :func:`exclusive.turn`."""
    with engine.connect().execution_options(
            isolation_level='AUTOCOMMIT') as connection:
        connection.detach()     # closing it ends the session and its lock
        turns.refuse_read_only(connection)
        connection.exec_driver_sql(
            f'SET SESSION wait_timeout = {turns.SILENCE}, '
            f'lock_wait_timeout = {turns.GIVE_WAY}')
        if connection.info['cluster']:
            with _row(engine, connection, waiting) as in_cluster:
                yield in_cluster
            return
        while not connection.scalar(sa.text(f'SELECT GET_LOCK({NAME}, 1)')):
            for number, user, host in connection.execute(sa.text(OWNER)):
                waiting.for_holder(f'session {number} of {user} at {host}',
                                   f'`KILL {number}` ends it')
        yield _Named(connection, False)


# -- Galera: a row. GET_LOCK would hold on one node only, or is refused

ROW = 'schema_lock'
IS_THERE = f"""
    SELECT COUNT(*) FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = '{ROW}'"""
# Every node gets the change of the row at once and holds it uncommitted. So
# the row is locked on all nodes until this session ends, and a node that is
# cut off cannot keep it.
STREAM = (mysql.WAIT_FOR_OTHERS,
          "SET SESSION wsrep_trx_fragment_unit = 'statements'",
          'SET SESSION wsrep_trx_fragment_size = 1',
          'SET SESSION innodb_lock_wait_timeout = 1')
TAKE = f"""
    UPDATE {ROW} SET holder = CONCAT('session ', CONNECTION_ID(), ' of ',
    CURRENT_USER(), ' on node ', @@wsrep_node_name) WHERE id = 1"""
WHO = f'SELECT holder FROM {ROW} WHERE id = 1'


class _Row(turns.Turn):
    """A turn that is a lock of a row, held by a second session.

    A session that changes tables commits, and so cannot hold the row itself.
    """

    def __init__(self, connection: sa.Connection,
                 lock: sa.Connection) -> None:
        super().__init__(connection, whole=False)
        self._lock = lock

    def confirm(self) -> None:
        """See the base class."""
        try:
            found = self._lock.scalar(sa.text(WHO))
        except db_exc.DBError as error:
            raise turns.Refused(
                'the cluster has undone the lock of this session: '
                f'{errors.message(error)}', turns.DIRECT) from error
        if not found:
            raise turns.Refused('this session has lost its lock',
                                    turns.DIRECT)


@contextlib.contextmanager
def _row(engine: sa.Engine, connection: sa.Connection,
         waiting: turns.Waiting) -> abc.Iterator[turns.Turn]:
    # It sees what the former holder did on its node, and who holds the row.
    connection.exec_driver_sql(mysql.WAIT_FOR_OTHERS)
    connection.exec_driver_sql(
        'SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED')
    if not connection.scalar(sa.text(IS_THERE)):
        connection.exec_driver_sql(
            f'CREATE TABLE IF NOT EXISTS {ROW} '
            '(id INTEGER PRIMARY KEY, holder VARCHAR(255)) ENGINE = InnoDB')
    if connection.scalar(sa.text(WHO)) is None:
        connection.exec_driver_sql(f"INSERT IGNORE INTO {ROW} VALUES (1, '')")
    with engine.connect() as lock:
        lock.detach()
        for statement in STREAM:
            lock.exec_driver_sql(statement)
        while not _takes(lock):
            who = connection.scalar(sa.text(WHO))
            if who:
                waiting.for_holder(who, 'kill that session on that node')
        yield _Row(connection, lock)


def _takes(lock: sa.Connection) -> bool:
    try:
        lock.exec_driver_sql(TAKE)
    except db_exc.DBDeadlock:
        lock.rollback()
        return False
    return True
