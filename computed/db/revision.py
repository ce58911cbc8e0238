"""The revision of a host: one number that counts every change."""

import sqlalchemy as sa

from computed import exception
from computed.db import models
from computed.db import routing

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
    name = host or models.NO_HOST
    if not _set(context, name, models.Host.revision + 1):
        raise exception.HostNotFound(host=name)
    # Only now, with the host's row locked, are other rows looked at.
    revision, floor = context.session.execute(
        sa.select(models.Host.revision, floor)
        .where(models.Host.name == name)).one()
    if revision <= floor:
        revision = floor + 1
        _set(context, name, revision)
    routing.saw(context, name, revision)
    return revision


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
