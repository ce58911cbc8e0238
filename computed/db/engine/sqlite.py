"""How SQLite is used: one file, and one writer at a time."""

import contextvars
import os
import sqlite3
import typing

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import interfaces

# True while a transaction that will write begins.
writing = contextvars.ContextVar('writing', default=False)


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
    event.listen(engine, 'before_cursor_execute', _begin_immediate,
                 retval=True)
    dialect = engine.dialect
    dialect.colspecs = {**dialect.colspecs, sa.DateTime: Moment}


def tune_connection(cursor: typing.Any) -> None:
    """Let writers wait 10 s for one another, and not for readers."""
    cursor.execute('PRAGMA busy_timeout = 10000')
    cursor.execute('PRAGMA journal_mode = WAL')


def _refuse_to_create(dialect: typing.Any, record: typing.Any,
                      arguments: typing.Any, parameters: typing.Any) -> None:
    if not os.path.exists(arguments[0]):
        raise sqlite3.OperationalError(f'no such file: {arguments[0]}')


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
