"""One row of a table, by its primary key."""

import functools
import typing

import sqlalchemy as sa

from computed import context as computed_context


@functools.cache
def _by_key(model: typing.Any, lock: bool) -> sa.Select:
    [key] = model.__table__.primary_key
    query = sa.select(model).where(key == sa.bindparam('the_key'))
    return query.with_for_update() if lock else query


def get(context: computed_context.RequestContext, model: typing.Any,
        key: str | None, lock: bool = False) -> typing.Any:
    """Return the row with this primary key, or None; its columns are named.

    :param lock: let other transactions wait for the row until this one ends
    """
    return context.connection.execute(
        _by_key(model, lock), {'the_key': key}).one_or_none()
