"""The tokens that admit to consoles.

Only the SHA-256 of a token is stored, so nobody who reads the database gets
in. All times are by the clock of the database, at each use.
"""

import datetime
import typing

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.engine import dialects

# The most rows that one transaction deletes.
AT_ONCE = 1000
_TOKEN, _INSTANCE = models.ConsoleToken, models.Instance
_NOW = dialects.utcnow()


def _of_live() -> sa.Select:
    """Return a query on tokens, with the live instance of each."""
    return (sa.select(_TOKEN, _INSTANCE.name, _INSTANCE.uuid)
            .join(_INSTANCE, sa.and_(
                _INSTANCE.uuid == _TOKEN.instance_uuid,
                _INSTANCE.host == _TOKEN.host,
                _INSTANCE.deleted == sa.false())))


@cell.write
def create(context: computed_context.RequestContext, uuid: str,
           token_hash: str, ttl: int) -> typing.Any:
    """Let a token admit to the console of an instance; a repeat is harmless.

    :param token_hash: the SHA-256 of the token, in hexadecimal
    :param ttl: seconds from now
    :returns: a row, as of :func:`get`
    :raises computed.exception.InstanceNotFound: there is no such instance
    :raises computed.exception.InstanceUnplaced: it has no host
    """
    connection = context.connection
    # A delete of the instance waits for this, and removes the token then.
    found = connection.execute(
        sa.select(_INSTANCE.host, _INSTANCE.deleted,
                  _NOW.label('now'))
        .where(_INSTANCE.uuid == uuid).with_for_update()).one_or_none()
    if found is None or found.deleted:
        raise exception.InstanceNotFound(instance=uuid)
    if found.host is None:
        raise exception.InstanceUnplaced(instance=uuid)
    values = {'token_hash': token_hash, 'instance_uuid': uuid,
              'host': found.host,
              'expires': found.now + datetime.timedelta(seconds=ttl)}
    bounds.ensure_fit(_TOKEN, values)
    if connection.scalar(sa.select(_TOKEN.host).where(
            _TOKEN.token_hash == token_hash)) is None:
        connection.execute(sa.insert(_TOKEN), values)
    return connection.execute(_of_live().where(
        _TOKEN.token_hash == token_hash)).one()


@cell.read
def get(context: computed_context.RequestContext,
        token_hash: str) -> typing.Any:
    """Return the row of a token that is valid now.

    :returns: the token, ``uuid`` and ``name`` of its instance; None: it is
        unknown or has expired, or its instance is deleted or elsewhere
    """
    return context.connection.execute(_of_live().where(
        _TOKEN.token_hash == token_hash,
        _TOKEN.expires > _NOW)).one_or_none()


def forget(context: computed_context.RequestContext, uuid: str) -> None:
    """Remove the tokens of an instance, in the open transaction."""
    context.connection.execute(
        sa.delete(_TOKEN).where(_TOKEN.instance_uuid == uuid))


def _has_expired(host: str) -> sa.ColumnElement[bool]:
    return sa.and_(_TOKEN.host == host, _TOKEN.expires <= _NOW)


def _expired(host: str) -> sa.Select:
    return sa.select(_TOKEN.token_hash).where(_has_expired(host))


@cell.read
def has_expired(context: computed_context.RequestContext,
                host: str) -> bool:
    """Return whether tokens for instances of a host have expired."""
    return context.connection.scalar(_expired(host).limit(1)) is not None


@cell.write
def delete_expired(context: computed_context.RequestContext,
                   host: str) -> int:
    """Delete the oldest tokens of a host that have expired.

    :returns: how many: at most ``AT_ONCE``. 0: none had expired, or those
        that were found have changed meanwhile.
    """
    connection = context.connection
    # The database reads few rows, and locks only those that it deletes.
    old = connection.scalars(
        _expired(host).order_by(_TOKEN.expires).limit(AT_ONCE)).all()
    if not old:
        cell.undo(context)
        return 0
    return connection.execute(sa.delete(_TOKEN).where(
        _TOKEN.token_hash.in_(sorted(old)), _has_expired(host))).rowcount
