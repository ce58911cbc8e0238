"""What a column can hold, on every engine, and who may write it.

SQLite stores any value in any column. MariaDB and PostgreSQL refuse some
values, each with errors of its own. So every value that comes from a caller
is checked before it is written: else one bad row could make the lists of all
readers fail.
"""

import datetime
import sys
import typing
from collections import abc

import sqlalchemy as sa

from computed import exception
from computed import files
from computed.logs import printable

# MariaDB's TEXT has at most so many bytes.
TEXT_BYTES = 2 ** 16 - 1
# Hosts make names of files of these.
UUIDS = frozenset(['uuid', 'claim_id', 'settled_claim_id', 'service_id',
                   'boot_id', 'host_boot_id', 'freeze_id', 'volume_id',
                   'attachment_id', 'instance_uuid'])
# Each is one word or name, which people read in tables.
PRINTABLE = frozenset(['version', 'place', 'hypervisor_type',
                       'hypervisor_version', 'mac_address'])
# Only the conductor writes these: they tell who may change a row, and when it
# was changed.
OWN = frozenset(['revision', 'generation', 'created_at', 'updated_at',
                 'claim_id', 'claim_owner', 'claimed_at',
                 'settled_claim_id', 'task_state_since',
                 'state_counted_at'])

Values = abc.Mapping[str, typing.Any]


def ensure_fit(table: typing.Any, values: Values) -> None:
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
            raise _refused(table, name, value, problem)


def ensure_may_write(table: typing.Any, values: Values,
                     fixed: abc.Container[str] = ()) -> None:
    """Refuse values that do not fit, and columns that callers do not write.

    :param table: a model
    :param fixed: further columns that this caller may not write
    :raises computed.exception.InvalidValue: there is one
    """
    ensure_fit(table, values)
    for name, value in values.items():
        if name in OWN or name in fixed:
            raise _refused(table, name, value, 'it cannot be chosen')


def ensure_whole(table: typing.Any, names: abc.Container[str]) -> None:
    """Refuse a row that lacks a value.

    :param table: a model
    :param names: the columns that are about to be inserted
    :raises computed.exception.InvalidValue: one is missing
    """
    for column in table.__table__.columns:
        if not (column.nullable or column.server_default is not None or
                column.name in names):
            raise _refused(table, column.name, None, 'it must have a value')


def ensure_comparable(table: typing.Any, name: str,
                      value: typing.Any) -> None:
    """Refuse a value that cannot be compared with a column.

    :param table: a model
    :param name: a column
    :raises computed.exception.InvalidValue: it cannot be
    """
    column = table.__table__.columns[name]
    problem = value is not None and problem_of(column, value)
    if problem:
        raise _refused(table, name, value, problem)


def _refused(table: typing.Any, name: str, value: object,
             problem: str) -> exception.InvalidValue:
    return exception.InvalidValue(
        field=f'{table.__tablename__}.{printable.short(name)}',
        value='nothing' if value is None else printable.quoted(value),
        problem=problem)


def problem_of(column: sa.Column, value: typing.Any) -> str | None:
    """Return why a column cannot hold ``value``, or None."""
    if isinstance(value, sa.ClauseElement):
        return None
    if value is None:
        return None if column.nullable else 'it must have a value'
    for kind, check in CHECKS.items():
        if isinstance(column.type, kind):
            return check(column.type, value) or _form(column.name, value)
    raise TypeError(f'{column} has a type that nobody checks')


def _form(name: str, value: typing.Any) -> str | None:
    """Return why a column of this name cannot hold a text of its type."""
    if name in UUIDS and not files.is_uuid(value):
        return 'it is not a uuid in lower case'
    if name in PRINTABLE and not value.isprintable():
        return 'it contains a character that cannot be printed'
    return None


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
    if type(value) not in (int, float) or not (
            abs(value) <= sys.float_info.max):
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
