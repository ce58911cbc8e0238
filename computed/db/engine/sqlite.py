"""How SQLite is used: one file, and one writer at a time."""

import contextvars
import os
import sqlite3
import typing

import sqlalchemy as sa
from sqlalchemy import event

# True while a transaction that will write begins.
writing = contextvars.ContextVar('writing', default=False)


def tune(engine: sa.Engine, must_exist: bool) -> None:
    """Prepare ``engine``.

    :param must_exist: do not create a file that is missing
    """
    if must_exist:
        event.listen(engine, 'do_connect', _refuse_to_create)
    event.listen(engine, 'before_cursor_execute', _begin_immediate,
                 retval=True)


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
