"""Check the rows that a claim, or its end, names.

The types are checked at the entrance of the conductor, by the annotations of
the method. Here the values are compared with the columns that they are for.
"""

import contextlib
import datetime
import typing
from collections import abc

import sqlalchemy as sa

from computed import exception
from computed import states
from computed.db.cell import bounds
from computed.db.engine import dialects
from computed.logs import printable

# The wire form of a row of a claim.
Row = abc.Mapping[str, typing.Any]


def ensure(kinds: abc.Mapping[str, typing.Any],
           rows: abc.Iterable[Row]) -> None:
    """Refuse rows whose values do not fit.

    :param kinds: :data:`computed.db.cell.claim.KINDS`
    :raises computed.exception.InvalidValue: one does not fit
    """
    for row in rows:
        kind = kinds.get(row['kind'])
        if kind is None:
            raise exception.InvalidValue(
                field='the kind of a row', value=printable.quoted(
                    row['kind']), problem='there are no claims on such rows')
        for name, value in ((kind.key, row['key']), ('host', row['host'])):
            bounds.ensure_comparable(kind.model, name, value)
        bounds.ensure_may_write(kind.model, resolved(row['values']),
                                (kind.key,))


def resolved(values: Row) -> dict[str, typing.Any]:
    """Return values to write; the word for now becomes the database's time.
    """
    return {name: dialects.utcnow() if value == states.NOW else value
            for name, value in values.items()}


def holds(kind: typing.Any, name: str,
          value: typing.Any) -> sa.ColumnElement[bool]:
    """Return a condition: a fact is ``value``, or one of a list of values.

    :param kind: the :class:`computed.db.cell.claim.Kind` of the row
    :raises computed.exception.InvalidValue: no claim can rest on it
    """
    if name not in kind.facts:
        raise exception.InvalidValue(
            field=f'the fact {printable.short(name)}',
            value=printable.quoted(value), problem='no claim rests on it')
    column = getattr(kind.model, name)
    if isinstance(value, list | tuple):
        return column.in_([_comparable(kind, name, one) for one in value])
    value = _comparable(kind, name, value)
    return column.is_(None) if value is None else column == value


def _comparable(kind: typing.Any, name: str, value: typing.Any) -> typing.Any:
    """Return a value as it is compared with a column; a time is text."""
    column = getattr(kind.model, name)
    if isinstance(column.type, sa.DateTime) and isinstance(value, str):
        # The check below says what is wrong with another text.
        with contextlib.suppress(ValueError):
            value = datetime.datetime.fromisoformat(value)
    bounds.ensure_comparable(kind.model, name, value)
    return value
