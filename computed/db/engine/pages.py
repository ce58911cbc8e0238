"""Pages of lists that can grow: where one begins, how long it may be.

A marker is opaque to its users: the sort key of the last row that they have
seen, as JSON in base64. It names a place and not a row, so it goes on
pointing there when the row is renamed or gone, and a page costs the same
wherever it begins.
"""

import base64
import dataclasses
import itertools
import json
import typing

import sqlalchemy as sa

from computed import exception

# Characters of text in a page. On the wire one may take 14 bytes, and no
# message may have more than 64 MiB.
TEXT_LIMIT = 4 << 20
MARKER_LIMIT = 8192


@dataclasses.dataclass(frozen=True)
class Page:
    """:ivar next_marker: where the next page begins; None: this is the last
    """

    rows: list[typing.Any]
    next_marker: str | None


def marker_of(key):
    """The marker of a row whose sort key is ``key``, a tuple of text."""
    return base64.urlsafe_b64encode(
        json.dumps(key, separators=(',', ':')).encode()).decode()


def key_of(marker, length):
    """The sort key, ``length`` texts, that a marker stands for.

    :raises computed.exception.InvalidMarker: it stands for none
    """
    try:
        if len(marker) > MARKER_LIMIT:
            raise ValueError('too long')
        key = json.loads(base64.b64decode(
            marker.encode('ascii'), altchars=b'-_', validate=True))
        if not isinstance(key, list) or len(key) != length:
            raise ValueError('not of this list')
        # What no database takes: a lone surrogate, or a NUL.
        if b'\0' in ''.join(key).encode():
            raise ValueError('not of a database')
        return tuple(key)
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise exception.InvalidMarker(
            marker=repr(marker)[:80]) from None


def length(limit, max_page):
    """How many rows a page may have, if its reader wants ``limit``.

    :param limit: None: as many as there may be
    :param max_page: the highest number of rows in any page
    :raises computed.exception.InvalidLimit: it is no number from 1 up
    """
    if limit is None:
        return max_page
    if type(limit) is not int or limit < 1:
        raise exception.InvalidLimit(limit=repr(limit)[:80])
    return min(limit, max_page)


def cut(rows, limit, text_of):
    """As many of the first rows as fit: ``limit``, and not too much text.

    The first one always fits.

    :param text_of: the number of characters in a row
    """
    sums = itertools.accumulate(text_of(row) for row in rows)
    return [row for number, (row, text) in enumerate(zip(
        rows, sums, strict=True)) if number < limit and (
            not number or text <= TEXT_LIMIT)]


def read(session, query, columns, limit, marker, max_page,
         text_of=lambda row: 0):
    """One page of ``query``, sorted by ``columns`` of its first entity.

    :param columns: one or two, together unique and never NULL
    :param limit: rows; None: as many as there may be
    :param marker: of the last row of the page before; None: begin
    :param max_page: see :func:`length`
    """
    limit = length(limit, max_page)
    if marker is not None:
        query = query.where(beyond(session.get_bind().dialect.name, columns,
                                   key_of(marker, len(columns))))
    found = session.execute(query.order_by(*columns).limit(limit + 1)).all()
    rows = cut(found, limit, text_of)
    if len(rows) == len(found):
        return Page(rows, None)
    return Page(rows, marker_of([
        getattr(rows[-1][0], column.key) for column in columns]))


def beyond(dialect, columns, key):
    """``columns > key``, written so that an engine uses its index.

    :param dialect: the name of the engine, as SQLAlchemy has it
    """
    if len(columns) == 1:
        return columns[0] > key[0]
    if dialect not in ('mysql', 'mariadb'):
        return sa.tuple_(*columns) > sa.tuple_(*key)
    # There, rows would be compared one by one from the beginning.
    (first, second), (x, y) = columns, key
    return sa.or_(first > x, sa.and_(first == x, second > y))
