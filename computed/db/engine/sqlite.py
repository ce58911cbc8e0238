"""How SQLite is used: one file, and one writer at a time."""

import contextvars
import functools
import os
import sqlite3
import typing

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import interfaces

from computed.db.engine import primary_check
from computed.db.engine import sqlite_room

# True while a transaction that will write begins.
writing = contextvars.ContextVar('writing', default=False)
# The words of SQLite about a file that was cut or overwritten. It stays so.
DAMAGE = ('malformed', 'not a database')
# Those about a file that it cannot use now, perhaps for one of these reasons.
LOST = (*DAMAGE, 'no such table', 'disk I/O error')
# See :mod:`computed.db.engine.primary_check`. None: no other file can take the
# place of the primary. A test whose servers are files sets it.
ask: primary_check.Ask | None = None


class Moment(sqlite.DATETIME):
    """A time. What is none is returned as it is, and spoils no other row.

    The other types of columns return anything as it is.
    """

    def result_processor(self, dialect: interfaces.Dialect,
                         coltype: object) -> typing.Any:
        """Return a function that makes the value of a column a time."""
        made: typing.Any = super().result_processor(dialect, coltype)

        def process(value: typing.Any) -> typing.Any:
            try:
                return made(value)
            except (ValueError, TypeError):
                return value
        return process


def tune(engine: sa.Engine, must_exist: bool) -> None:
    """Prepare ``engine``.

    :param must_exist: do not create a file that is missing
    """
    if must_exist:
        event.listen(engine, 'do_connect', _refuse_to_create)
        event.listen(engine, 'connect', _note_file)
        event.listen(engine, 'checkout', functools.partial(
            _refuse_another, engine.url.database or ''))
    event.listen(engine, 'before_cursor_execute', _begin_immediate,
                 retval=True)
    dialect = engine.dialect
    dialect.colspecs = {**dialect.colspecs, sa.DateTime: Moment}


def tune_connection(cursor: typing.Any) -> None:
    """Let writers wait 10 s for one another, and not for readers.

    The log stays within the room that it has on a full disk.
    """
    cursor.execute('PRAGMA busy_timeout = 10000')
    cursor.execute('PRAGMA journal_mode = WAL')
    cursor.execute(f'PRAGMA wal_autocheckpoint = {sqlite_room.CHECKPOINT}')


def absence(path: str) -> str | None:
    """Return why there is no database at ``path``, or None if one may be."""
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        return 'the file is missing'
    return None if size else 'the file is empty'


def _refuse_to_create(dialect: typing.Any, record: typing.Any,
                      arguments: typing.Any, parameters: typing.Any) -> None:
    try:
        problem = absence(arguments[0])
    except OSError as error:    # perhaps its folder is another user's now
        problem = f'the file cannot be reached: {error.strerror}'
    if problem:
        raise sqlite3.OperationalError(problem)


def _note_file(connection: typing.Any, record: typing.Any) -> None:
    # The connection knows its file by name only, but uses this one.
    [[_, _, path]] = connection.execute('PRAGMA database_list')
    record.info['file'] = _file(path)


def _refuse_another(path: str, connection: typing.Any, record: typing.Any,
                    pooled: typing.Any) -> None:
    """Do not use a connection to a file that is not there any more.

    It could be read and written as before, but nobody would see that.
    """
    if _file(path) != record.info['file']:
        raise sa.exc.DisconnectionError


def _file(path: str) -> tuple[int, int, bool] | None:
    """Return what tells a file from its successors; None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size > 0


def is_damaged(error: BaseException) -> bool:
    """Return whether an error of the driver tells of a damaged file."""
    return _tells(error, DAMAGE)


def is_lost(error: BaseException) -> bool:
    """Return whether an error of the driver tells of an unusable file."""
    return _tells(error, LOST)


def _tells(error: BaseException, of: tuple[str, ...]) -> bool:
    return isinstance(error, sqlite3.Error) and any(
        words in str(error) for words in of)


def _begin_immediate(connection: sa.Connection, cursor: typing.Any,
                     statement: str, parameters: typing.Any,
                     context: typing.Any, many: bool
                     ) -> tuple[str, typing.Any]:
    # A deferred transaction that reads and then writes fails at once with
    # "database is locked", even with a busy timeout. A transaction that
    # announces its write at its begin waits for its turn.
    if statement == 'BEGIN' and writing.get():
        statement = 'BEGIN IMMEDIATE'
    return statement, parameters
