"""Keep room in an SQLite database for the changes that end guests.

The database of a standalone host is on the disk that its guests can fill.
SQLite writes to the room that it has: to its log (``-wal``), which starts
again after each checkpoint, and to free pages of the database.
"""

import os
import sqlite3

import sqlalchemy as sa

from computed import exception
from computed.db.engine import address

# Bytes of the log and of free pages. A change takes some KiB.
ROOM = 2 << 20
# Pages in the log at which it is copied to the database, about: less than
# half of the room.
CHECKPOINT = 200
_TABLE = 'computed_room'


class Room:
    """Room in the database at one URL, as long as this is open.

    Its connection keeps SQLite from removing the log, with its room, when
    all other connections are closed.
    """

    def __init__(self, url: str) -> None:
        """Make what is missing of the room.

        :raises computed.exception.PrimaryUnreachable: for example, there is
            not so much room
        """
        path = sa.make_url(url).database or ''
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = sqlite3.connect(
                path, timeout=10, isolation_level=None,
                check_same_thread=False)
            self._keep(self._connection, f'{path}-wal')
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise exception.PrimaryUnreachable(
                address=address.show(url), problem=str(error)) from error

    def _keep(self, connection: sqlite3.Connection, log: str) -> None:
        def ask(statement: str) -> int:
            [[found, *_]] = connection.execute(statement).fetchall() or [[0]]
            return int(found)
        connection.execute('PRAGMA journal_mode = WAL').fetchall()
        ask('SELECT count(*) FROM sqlite_master')       # opens the log
        free = ask('PRAGMA freelist_count') * ask('PRAGMA page_size')
        if free >= ROOM // 2 and os.stat(log).st_size >= ROOM:
            return
        for statement in (f'DROP TABLE IF EXISTS {_TABLE}',
                          f'CREATE TABLE {_TABLE} (filler)',
                          f'INSERT INTO {_TABLE} VALUES (zeroblob({ROOM}))',
                          f'DROP TABLE {_TABLE}',
                          'PRAGMA wal_checkpoint(RESTART)'):
            ask(statement)

    def close(self) -> None:
        """Give up the room of the log; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
