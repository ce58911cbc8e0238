"""Statements that are made once and run often.

SQLAlchemy takes several times as long to make a statement as to run it. So a
statement of a call that comes often is made once, by a function with
``functools.cache``, or with ``functools.lru_cache`` if peers can choose any
number of its arguments. The arguments are all that its text depends on. The
values have names (:func:`value`) and come with each execution. An INSERT or
UPDATE also writes each column whose own name is among these values.

A condition that another module knows is a :class:`Part`: it has its values
with it.
"""

import functools
import types
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context

Values = dict[str, typing.Any]


class Part(typing.NamedTuple):
    """A part of such a statement, and the values for it.

    :ivar sql: the same object for the same text, so that it can be an
        argument of a cached function
    :ivar values: ``{name: value}``
    """

    sql: typing.Any
    values: abc.Mapping[str, typing.Any] = types.MappingProxyType({})


def value(name: str, kind: typing.Any = None) -> sa.BindParameter[typing.Any]:
    """Return the place of a value: ``the_NAME``, which no column is called.

    :param kind: its type; None: that of the column which it is compared with
    """
    return sa.bindparam(f'the_{name}', type_=kind)


def several(name: str) -> sa.BindParameter[typing.Any]:
    """Return the place of a list of values, for ``in_``."""
    return sa.bindparam(f'the_{name}', expanding=True)


def alias(model: typing.Any, name: str) -> sa.Alias:
    """Return a table under another name, for statements of all threads.

    SQLAlchemy makes the columns of an alias when one is first asked for, and
    without a lock. If two threads ask at once, each gets columns of its own:
    the statement has one, and its rows are asked for the other. So all are
    made before any thread has the alias. ``orm.aliased`` goes on to make
    parts later, so threads must not share what it returns.
    """
    made = model.__table__.alias(name)
    made.c.keys()
    return made


def equals(column: typing.Any, wanted: typing.Any) -> Part:
    """Return a condition: a column has this value; None: it is NULL."""
    if wanted is None:
        return Part(_is_null(column))
    return Part(_equals(column), {f'the_{column.key}': wanted})


def one_of(column: typing.Any, wanted: abc.Sequence[typing.Any]) -> Part:
    """Return a condition: a column has one of these values."""
    return Part(_one_of(column), {f'the_{column.key}': wanted})


def texts(parts: abc.Iterable[Part]) -> tuple[typing.Any, ...]:
    """Return the parts without their values."""
    return tuple(part.sql for part in parts)


def values(parts: abc.Iterable[Part]) -> Values:
    """Return the values of all parts."""
    return {name: one for part in parts for name, one in part.values.items()}


@functools.cache
def _is_null(column: typing.Any) -> sa.ColumnElement[bool]:
    return column.is_(None)


@functools.cache
def _equals(column: typing.Any) -> sa.ColumnElement[bool]:
    return column == value(column.key)


@functools.cache
def _one_of(column: typing.Any) -> sa.ColumnElement[bool]:
    return column.in_(several(column.key))


def get(context: computed_context.RequestContext, model: typing.Any,
        key: str | None, lock: bool = False) -> typing.Any:
    """Return the row with this primary key, or None; its columns are named.

    :param lock: let other transactions wait for the row until this one ends
    """
    return context.connection.execute(
        _by_key(model, lock), {'the_key': key}).one_or_none()


@functools.cache
def _by_key(model: typing.Any, lock: bool) -> sa.Select:
    [key] = model.__table__.primary_key
    query = sa.select(model).where(key == value('key'))
    return query.with_for_update() if lock else query
