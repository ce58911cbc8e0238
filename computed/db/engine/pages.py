"""Pages of long lists: where a page begins, and how long it may be.

A marker is the sort key of the last row of a page, as JSON in base64; it is
opaque to users. It names a place, not a row, so it stays valid when that row
is renamed or deleted. A page costs the same at each place of the list.
"""

import base64
import dataclasses
import itertools
import json
import typing
from collections import abc

import sqlalchemy as sa

from computed import exception

# The bytes that the rows of a page take on the wire at most. By default,
# RabbitMQ 4 takes messages of 16 MiB at most. The rest of a reply is small.
PAGE_BYTES = 15 << 20
# What an object takes on the wire without its fields, and a field without its
# name and without texts, both at most.
OBJECT_BYTES, FIELD_BYTES = 400, 64
# A message is JSON in JSON, so the longest character is "\\ud83d\\ude00".
CHARACTER_BYTES = 14
MARKER_LIMIT = 8192


@dataclasses.dataclass(frozen=True)
class Page:
    """A part of a list.

    :ivar next_marker: where the next page begins; None: this is the last one
    """

    rows: list[typing.Any]
    next_marker: str | None


def marker_of(key: abc.Sequence[str]) -> str:
    """Return the marker of a row whose sort key is ``key``."""
    return base64.urlsafe_b64encode(
        json.dumps(key, separators=(',', ':')).encode()).decode()


def key_of(marker: str, length: int) -> tuple[str, ...]:
    """Return the sort key of a marker.

    :param length: the number of texts in a sort key of this list
    :raises computed.exception.InvalidMarker: it is no marker of this list
    """
    try:
        if len(marker) > MARKER_LIMIT:
            raise ValueError('too long')
        key = json.loads(base64.b64decode(
            marker.encode('ascii'), altchars=b'-_', validate=True))
        if not isinstance(key, list) or len(key) != length:
            raise ValueError('not of this list')
        # A database accepts neither a lone surrogate nor a NUL.
        if b'\0' in ''.join(key).encode():
            raise ValueError('not of a database')
        return tuple(key)
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise exception.InvalidMarker(
            marker=repr(marker)[:80]) from None


def length(limit: int | None, max_page: int) -> int:
    """Return the maximum number of rows of a page.

    :param limit: the number of rows that the reader wants; None: ``max_page``
    :param max_page: the maximum number of rows of every page
    :raises computed.exception.InvalidLimit: it is not a whole number from 1
    """
    if limit is None:
        return max_page
    if type(limit) is not int or limit < 1:
        raise exception.InvalidLimit(limit=repr(limit)[:80])
    return min(limit, max_page)


def cut(rows: abc.Sequence[typing.Any], limit: int,
        objects: int = 1) -> list[typing.Any]:
    """Return the first rows that fit into a page.

    A page has at most ``limit`` rows, which take at most ``PAGE_BYTES`` on
    the wire. The first row always fits.

    :param objects: how many objects are made of a row at most
    """
    kept = list(rows[:limit])
    if sum(most_bytes(row, objects) for row in kept) <= PAGE_BYTES:
        return kept
    sums = itertools.accumulate(wire_bytes(row, objects) for row in kept)
    return [row for number, (row, size) in enumerate(
        zip(kept, sums, strict=True)) if not number or size <= PAGE_BYTES]


def wire_bytes(row: sa.Row, objects: int = 1) -> int:
    """Return how many bytes a row takes on the wire at most.

    :param objects: see :func:`cut`
    """
    size, texts = _parts(row, objects)
    return size + sum(len(json.dumps(json.dumps(text))) for text in texts)


def most_bytes(row: sa.Row, objects: int = 1) -> int:
    """Return the same without a look at the characters; it is much quicker.
    """
    size, texts = _parts(row, objects)
    return size + CHARACTER_BYTES * sum(map(len, texts))


def _parts(row: sa.Row, objects: int) -> tuple[int, list[str]]:
    """Return the bytes of all but the texts, and the texts."""
    size = objects * OBJECT_BYTES + sum(
        FIELD_BYTES + len(name) for name in row._fields)
    return size, [value for value in row if isinstance(value, str)]


def read(connection: sa.Connection, query: sa.Select, columns: tuple,
         limit: int | None, marker: str | None, max_page: int,
         objects: int = 1) -> Page:
    """Read a page of ``query``, sorted by ``columns``.

    :param columns: one or two text columns, together unique and never NULL.
        The query has each of them by its own name.
    :param limit: see :func:`length`
    :param marker: the ``next_marker`` of the page before; None: the first
        page
    :param max_page: see :func:`length`
    :param objects: see :func:`cut`
    :raises computed.exception.InvalidMarker: see :func:`key_of`
    :raises computed.exception.InvalidLimit: see :func:`length`
    """
    limit = length(limit, max_page)
    if marker is not None:
        query = query.where(beyond(connection.dialect.name, columns,
                                   key_of(marker, len(columns))))
    found = connection.execute(
        query.order_by(*columns).limit(limit + 1)).all()
    rows = cut(found, limit, objects)
    if len(rows) == len(found):
        return Page(rows, None)
    return Page(rows, marker_of([
        getattr(rows[-1], column.key) for column in columns]))


def read_newest(connection: sa.Connection, query: sa.Select,
                number: typing.Any, limit: int | None, marker: str | None,
                max_page: int) -> Page:
    """Read a page of ``query``, the rows with the highest numbers first.

    :param number: the column of a number that is unique
    :param limit: see :func:`length`
    :param marker: as for :func:`read`
    :raises: as :func:`read`
    """
    limit = length(limit, max_page)
    if marker is not None:
        query = query.where(number < _number_of(marker))
    found = connection.execute(
        query.order_by(number.desc()).limit(limit + 1)).all()
    rows = cut(found, limit)
    return Page(rows, None if len(rows) == len(found) else marker_of(
        [str(getattr(rows[-1], number.key))]))


def _number_of(marker: str) -> int:
    [text] = key_of(marker, 1)
    if not (text.isascii() and text.isdigit() and int(text) < 2 ** 63):
        raise exception.InvalidMarker(marker=repr(marker)[:80])
    return int(text)


def beyond(dialect: str, columns: tuple,
           key: tuple[str, ...]) -> sa.ColumnElement[bool]:
    """Return ``columns > key`` in a form for which the engine uses an index.

    :param dialect: SQLAlchemy's name of the engine
    """
    if len(columns) == 1:
        return columns[0] > key[0]
    if dialect not in ('mysql', 'mariadb'):
        return sa.tuple_(*columns) > sa.tuple_(*key)
    # MySQL and MariaDB would compare the tuple with each row of the list.
    (first, second), (x, y) = columns, key
    return sa.or_(first > x, sa.and_(first == x, second > y))
