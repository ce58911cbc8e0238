"""The revision of a host: a number that counts its changes."""

import functools
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.engine import prepared

ZERO = prepared.Part(sa.literal(0))
# The host of rows that belong to no host is None.
Host = str | None


def bump(context: computed_context.RequestContext, host: Host,
         floor: prepared.Part = ZERO) -> int:
    """Raise the revision of a host and return it.

    Call it first in every writing transaction. It locks the row of the host,
    so that revisions become visible in their order.

    :param host: a name; None for rows without a host
    :param floor: a number in SQL. The new revision is higher than it, too:
        so the revision of a row also rises when the row changes its host.
    :raises computed.exception.HostNotFound: there is no such host
    """
    return bump_all(context, {host: floor})[host]


def bump_all(context: computed_context.RequestContext,
             floors: abc.Mapping[Host, prepared.Part]
             ) -> dict[Host, int]:
    """Raise the revisions of several hosts; see :func:`bump`.

    It locks the hosts in the order of their names: so two transactions that
    raise the same hosts do not deadlock.

    :param floors: ``{host: floor}``
    :returns: ``{host: revision}``
    :raises computed.exception.HostNotFound: there is no such host
    """
    for reserved in (models.NO_HOST, ''):
        if reserved in floors:
            raise exception.HostNotFound(host=reserved)
    hosts = sorted(floors, key=lambda host: host or models.NO_HOST)
    for host in hosts:
        name = host or models.NO_HOST
        if not _raise(context, name):
            raise exception.HostNotFound(host=name)
    # The first SELECT comes after all locks: on MariaDB it decides what all
    # later reads of the transaction see.
    return {host: _raised(context, host or models.NO_HOST, floors[host])
            for host in hosts}


def _raised(context: computed_context.RequestContext, name: str,
            floor: prepared.Part) -> int:
    revision, least = context.connection.execute(
        _with_floor(floor.sql), {'the_host': name, **floor.values}).one()
    if revision <= least:
        revision = least + 1
        context.connection.execute(
            _setting(), {'the_host': name, 'revision': revision})
    cell.record_revision(context, name, revision)
    return revision


@functools.cache
def _with_floor(floor: typing.Any) -> sa.Select:
    return sa.select(models.Host.revision, floor).where(
        models.Host.name == prepared.value('host'))


@functools.cache
def _setting() -> sa.Update:
    return sa.update(models.Host).where(
        models.Host.name == prepared.value('host'))


def _raise(context: computed_context.RequestContext, name: str) -> bool:
    """Raise the revision of a host; return whether there is this host."""
    return bool(context.connection.execute(
        _raising(), {'the_host': name}).rowcount)


@functools.cache
def _raising() -> sa.Update:
    return _setting().values(revision=models.Host.revision + 1)


def retire(context: computed_context.RequestContext, host: str) -> int:
    """Let the row of no host outlive the revision of a host; return it.

    Call it first in the transaction that deletes the host. If the host comes
    back, it begins at the revision of no host (:func:`first`): so what it, a
    replica or a token knows of its former life is older.

    :raises computed.exception.HostNotFound: there is no such host
    """
    known = host != models.NO_HOST and all(
        _raise(context, name)
        for name in sorted((models.NO_HOST, host)))
    if not known:
        raise exception.HostNotFound(host=host)
    return _raised(context, models.NO_HOST, prepared.Part(
        _of_host(), {'the_retired': host}))


@functools.cache
def _of_host() -> sa.ScalarSelect[int]:
    return sa.select(models.Host.revision).where(
        models.Host.name == prepared.value('retired')).scalar_subquery()


def first(context: computed_context.RequestContext) -> int:
    """Return the revision with which a new host begins.

    It locks the row of no host, so that a host that is being deleted counts.
    """
    return context.connection.execute(
        sa.select(models.Host.revision)
        .where(models.Host.name == models.NO_HOST)
        .with_for_update()).scalar_one()


def bump_if(context: computed_context.RequestContext, host: str,
            expected: int) -> int | None:
    """Raise the revision of a host if it is ``expected``.

    :returns: the new revision; None if it was not ``expected``
    """
    changed = context.connection.execute(
        _setting_if(), {'the_host': host, 'the_revision': expected,
                        'revision': expected + 1}).rowcount
    if not changed:
        return None
    cell.record_revision(context, host, expected + 1)
    return expected + 1


@functools.cache
def _setting_if() -> sa.Update:
    return _setting().where(
        models.Host.revision == prepared.value('revision'))


def number(floor: int) -> prepared.Part:
    """Return a number that a new revision must be higher than."""
    return prepared.Part(_number(), {'the_floor': floor})


@functools.cache
def _number() -> sa.ColumnElement[int]:
    return prepared.value('floor', sa.BigInteger).label('floor')


def of_rows(uuids: list[str]) -> prepared.Part:
    """Return a scalar query: the highest revision of these instances, or 0."""
    return prepared.Part(_of_rows(), {'the_uuids': uuids})


@functools.cache
def _of_rows() -> sa.ColumnElement[int]:
    return sa.func.coalesce(
        sa.select(sa.func.max(models.Instance.revision))
        .where(models.Instance.uuid.in_(prepared.several('uuids')))
        .scalar_subquery(), 0)
