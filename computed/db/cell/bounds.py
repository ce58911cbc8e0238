"""What a column can hold, on every engine.

SQLite stores any value in any column. MariaDB and PostgreSQL refuse some
values, each with errors of its own. So every value that comes from a caller
is checked before it is written: else one bad row could make the lists of all
readers fail.
"""

import datetime
import math
import typing
from collections import abc

import sqlalchemy as sa

from computed import exception
from computed import files

# MariaDB's TEXT has at most so many bytes.
TEXT_BYTES = 2 ** 16 - 1
# Hosts make names of files of these.
UUIDS = frozenset(['uuid', 'claim_id'])
# How much of a bad value an error shows.
SHOWN = 80


def ensure_fit(table: typing.Any,
               values: abc.Mapping[str, typing.Any]) -> None:
    """Refuse values that do not fit their columns.

    :param table: a model
    :param values: ``{column: value}``; SQL expressions are not checked
    :raises computed.exception.InvalidValue: one does not fit
    """
    columns = table.__table__.columns
    for name, value in values.items():
        problem = (problem_of(columns[name], value) if name in columns
                   else 'there is no such column')
        if problem:
            raise exception.InvalidValue(
                field=f'{table.__tablename__}.{name}',
                value=repr(value)[:SHOWN], problem=problem)


def problem_of(column: sa.Column, value: typing.Any) -> str | None:
    """Return why a column cannot hold ``value``, or None."""
    if isinstance(value, sa.ClauseElement):
        return None
    if value is None:
        return None if column.nullable else 'it must have a value'
    for kind, check in CHECKS.items():
        if isinstance(column.type, kind):
            problem = check(column.type, value)
            if not problem and column.name in UUIDS and (
                    not files.is_uuid(value)):
                return 'it is not a uuid in lower case'
            return problem
    raise TypeError(f'{column} has a type that nobody checks')


def _text(kind: typing.Any, value: typing.Any) -> str | None:
    if not isinstance(value, str):
        return 'it is not a text'
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return 'it is not valid Unicode'
    if '\0' in value:
        return 'it contains a NUL character'
    if kind.length is not None and len(value) > kind.length:
        return f'it has more than {kind.length} characters'
    if size > TEXT_BYTES:
        return f'it has more than {TEXT_BYTES} bytes'
    return None


def _whole(kind: typing.Any, value: typing.Any) -> str | None:
    bits = 63 if isinstance(kind, sa.BigInteger) else 31
    if type(value) is not int:
        return 'it is not a whole number'
    if not -2 ** bits <= value < 2 ** bits:
        return f'it does not fit into {bits + 1} bits'
    return None


def _number(kind: typing.Any, value: typing.Any) -> str | None:
    if type(value) not in (int, float) or not math.isfinite(value):
        return 'it is not a finite number'
    return None


def _boolean(kind: typing.Any, value: typing.Any) -> str | None:
    return None if type(value) is bool else 'it is neither true nor false'


def _moment(kind: typing.Any, value: typing.Any) -> str | None:
    return (None if isinstance(value, datetime.datetime)
            else 'it is not a time')


CHECKS: dict[typing.Any, abc.Callable[[typing.Any, typing.Any],
                                      str | None]] = {
    # A Text is a String, too.
    sa.String: _text, sa.Integer: _whole, sa.Float: _number,
    sa.Boolean: _boolean, sa.DateTime: _moment}
