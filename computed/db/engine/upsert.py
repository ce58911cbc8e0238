"""One statement that inserts rows, or replaces older rows."""

import typing

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite


def newer(dialect: str, table: typing.Any,
          rows: list[dict[str, typing.Any]], guard: str,
          base: str | None = None) -> sa.sql.dml.Insert:
    """Return an INSERT that never replaces a newer row by an older one.

    If two rows have the same primary key, the row with the greater ``guard``
    stays. With ``base``, a row is only replaced by one that was computed from
    it.

    :param dialect: the name of the engine's dialect
    :param table: a :class:`sqlalchemy.Table`
    :param rows: ``[{column: value}]``, all with the same columns
    :param guard: the name of a column
    :param base: the name of a column with the ``guard`` of the row that a new
        one was computed from
    """
    def applies(mine: typing.Any, there: typing.Any) -> typing.Any:
        return (mine[guard] > there[guard] if base is None
                else mine[base] == there[guard])
    keys = [column.name for column in table.primary_key]
    changed = [name for name in rows[0] if name not in (*keys, guard)]
    # Two statements that lock rows in different orders could deadlock.
    rows = sorted(rows, key=lambda row: [row[name] for name in keys])
    if dialect in ('mysql', 'mariadb'):
        statement = mysql.insert(table).values(rows)
        mine, there = statement.inserted, table.c
        # The guard comes last: each assignment sees the ones before it.
        return statement.on_duplicate_key_update([
            (name, sa.func.IF(applies(mine, there), mine[name], there[name]))
            for name in (*changed, guard)])
    insert = {'postgresql': postgresql, 'sqlite': sqlite}[dialect].insert
    statement = insert(table).values(rows)
    return statement.on_conflict_do_update(
        index_elements=keys,
        set_={name: statement.excluded[name] for name in (*changed, guard)},
        where=applies(statement.excluded, table.c))
