"""The steps of which every migration consists.

MariaDB commits each statement of a schema change by itself. So an upgrade can
end between any two statements, and the next one begins the same migration
again. Therefore a step first looks whether it is done. The schema itself is
the record of the progress, so no record can disagree with it.

A step that finds something else of the same name raises an error: another
program made it.
"""

import logging
import typing
from collections import abc

import sqlalchemy as sa
from alembic import op
from oslo_db import exception as db_exc
from sqlalchemy import schema
from sqlalchemy.engine import interfaces as reflected

from computed.db.engine import turns

LOG = logging.getLogger(__name__)

TABLE: dict[str, typing.Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}


class Progress:
    """Where an upgrade is.

    :ivar place: the step, as operators read it
    :ivar turn: the right to change the schema
    :ivar look: what was there before the steps, each asked for once
    """

    turn: turns.Turn
    look: sa.Inspector

    def __init__(self) -> None:
        self.place = 'before its first step'
        self._schemas: list[str] = []
        self._level = logging.INFO

    def begin(self, turn: turns.Turn, schemas: list[str],
              upgrades: bool) -> None:
        """Note that the upgrade begins.

        :param schemas: those to make, in their order
        :param upgrades: whether there was a schema before. The steps for a
            new database take no time, and nobody wants to read them all.
        """
        self._level = logging.INFO if upgrades else logging.DEBUG
        self.turn = turn
        self.look = sa.inspect(turn.connection)
        self._schemas = schemas

    def at(self, what: str) -> None:
        """Note that a step of the first schema begins."""
        self.place = f'at schema {self._schemas[0]}, step "{what}"'
        LOG.log(self._level, 'Schema %s: %s', self._schemas[0], what)

    def recorded(self, **kwargs: typing.Any) -> None:
        """Note that the first schema is complete; a callback of Alembic."""
        self._schemas.pop(0)


def run(what: str, done: abc.Callable[[Progress], bool],
        act: abc.Callable[[], typing.Any]) -> None:
    """Do one step, unless it is done.

    :param what: the step, in words for operators
    :param done: returns whether nothing is left to do
    :param act: does it, in one statement
    """
    config = op.get_context().config
    assert config is not None
    progress: Progress = config.attributes['progress']
    progress.at(what)
    progress.turn.confirm()
    if done(progress):
        return
    try:
        act()
    except db_exc.DBError:
        # A transaction that failed answers no question. MariaDB does, and
        # another session may have done the same meanwhile.
        progress.look = sa.inspect(progress.turn.connection)
        if progress.turn.whole or not done(progress):
            raise


def create_table(name: str, *columns: sa.Column) -> None:
    """Create a table with a primary key and no other index."""
    table = sa.Table(name, sa.MetaData(), *columns, **TABLE)
    run(f'create table {name}', lambda progress: _is_same(progress, table),
        lambda: op.execute(schema.CreateTable(table)))


def add_column(table: str, column: sa.Column) -> None:
    """Add a column; NULL or with a default, see the page on objects."""
    wanted = sa.Table(table, sa.MetaData(), column)
    run(f'add column {table}.{column.name}',
        lambda progress: _is_same(progress, wanted),
        lambda: op.add_column(table, column))


def create_index(name: str, table: str, columns: abc.Sequence[str],
                 unique: bool = False) -> None:
    """Create an index."""
    wanted = sa.Table(table, sa.MetaData())

    def done(progress: Progress) -> bool:
        for found in progress.look.get_indexes(table):
            if found['name'] == name:
                if (found['column_names'], bool(found['unique'])) != (
                        [*columns], unique):
                    raise _other(wanted, f'its index {name} is not '
                                 f'{"unique " * unique}'
                                 f'({", ".join(columns)})')
                return True
        return False
    run(f'create index {name}', done,
        lambda: op.create_index(name, table, [*columns], unique=unique))


def insert(table: str, key: dict[str, typing.Any],
           **values: typing.Any) -> None:
    """Insert a row, unless a row with this key exists.

    :param key: the values of the primary key
    """
    connection = op.get_bind()
    target = sa.table(table, *map(sa.column, [*key, *values]))
    where = [target.c[name] == value for name, value in key.items()]
    run(f'insert {", ".join(map(str, key.values()))} into {table}',
        lambda progress: bool(connection.scalar(
            sa.select(sa.exists().where(*where)))),
        lambda: connection.execute(sa.insert(target).values(**key, **values)))


# -- what is there

def _is_same(progress: Progress, wanted: sa.Table) -> bool:
    """Return whether the columns of ``wanted`` exist.

    :param wanted: with a primary key, it stands for the whole table. More
        columns are allowed then only if rows can be written without them.
    :raises computed.db.engine.turns.Refused: the table was made otherwise
    """
    if wanted.name not in progress.look.get_table_names():
        return False
    found = {column['name']: column
             for column in progress.look.get_columns(wanted.name)}
    keys = wanted.primary_key.columns.keys()
    if not keys and not found.keys() & wanted.columns.keys():
        return False
    if keys and keys != progress.look.get_pk_constraint(wanted.name)[
            'constrained_columns']:
        raise _other(wanted, f'its primary key is not ({", ".join(keys)})')
    for column in wanted.columns:
        if column.name not in found:
            raise _other(wanted, f'it lacks the column {column.name}')
        if _differs(found.pop(column.name), column):
            raise _other(wanted, f'its column {column.name} has another '
                         'definition')
    for name, other in found.items():
        if keys and not other['nullable'] and other['default'] is None:
            raise _other(wanted, f'it requires the column {name}')
    return True


def _differs(found: reflected.ReflectedColumn, wanted: sa.Column) -> bool:
    # Engines write the same default in several ways.
    return (found['nullable'] != wanted.nullable or
            (found['default'] is None) != (wanted.server_default is None) or
            op.get_context().impl.compare_type(
                sa.Column(found['name'], found['type']), wanted))


def _other(wanted: sa.Table, problem: str) -> turns.Refused:
    return turns.Refused(
        f'table {wanted.name} exists, but {problem}', 'Another program made '
        'it. Let [database] connection name a database of computed, or an '
        'empty one.')
