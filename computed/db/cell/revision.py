"""The revision of a host: one number that counts every change."""

import sqlalchemy as sa

from computed import exception
from computed.db.cell import models
from computed.db.cell.database import cell

ZERO = sa.literal(0)


def bump(context, host, floor=ZERO):
    """Raise the revision of ``host`` and return it.

    First in every writing transaction: it locks the host's row, so that
    revisions become visible in the order in which they were given.

    :param host: a host's name, or None for what belongs to no host
    :param floor: an SQL expression; the new revision is above it
        too, which keeps a row's revision rising when it comes from elsewhere
    :raises computed.exception.HostNotFound: no such host
    """
    return bump_all(context, {host: floor})[host]


def bump_all(context, floors):
    """As :func:`bump`, of several hosts: in the order of their names, so
    that two who bump the same do not wait for one another.

    :param floors: ``{host: floor}``
    :returns: ``{host: revision}``
    """
    hosts = sorted(floors, key=lambda host: host or models.NO_HOST)
    for host in hosts:
        name = host or models.NO_HOST
        if not _set(context, name, models.Host.revision + 1):
            raise exception.HostNotFound(host=name)
    # Only now, with the rows of all of them locked, is anything looked at:
    # on MariaDB the first look decides what all later ones see.
    return {host: _raised(context, host or models.NO_HOST, floors[host])
            for host in hosts}


def _raised(context, name, floor):
    revision, floor = context.session.execute(
        sa.select(models.Host.revision, floor)
        .where(models.Host.name == name)).one()
    if revision <= floor:
        revision = floor + 1
        _set(context, name, revision)
    cell.record_revision(context, name, revision)
    return revision


def bump_if(context, host, expected):
    """Raise the revision of ``host`` if it is ``expected``.

    :returns: the new revision, or None
    """
    changed = context.session.execute(
        sa.update(models.Host)
        .where(models.Host.name == host, models.Host.revision == expected)
        .values(revision=expected + 1)
        .execution_options(synchronize_session=False)).rowcount
    if not changed:
        return None
    cell.record_revision(context, host, expected + 1)
    return expected + 1


def _set(context, name, revision):
    return context.session.execute(
        sa.update(models.Host).where(models.Host.name == name)
        .values(revision=revision)
        .execution_options(synchronize_session=False)).rowcount


def of_rows(uuids):
    """A scalar query: the highest revision of these instances, or 0."""
    return sa.func.coalesce(
        sa.select(sa.func.max(models.Instance.revision))
        .where(models.Instance.uuid.in_(uuids)).scalar_subquery(), 0)
