"""The revision of a host: one number that counts every change."""

import sqlalchemy as sa

from computed import exception
from computed.db import models
from computed.db import routing


def bump(context, host, floor=0):
    """Raise the revision of ``host`` and return it.

    First in every writing transaction: it locks the host's row, so that
    revisions become visible in the order in which they were given.

    :param host: a host's name, or None for what belongs to no host
    :param floor: a number or a scalar query; the new revision is above it
        too, which keeps a row's revision rising when it comes from elsewhere
    :raises computed.exception.HostNotFound: no such host
    """
    name = host or models.NO_HOST
    counter = models.Host.revision
    changed = context.session.execute(
        sa.update(models.Host).where(models.Host.name == name)
        .values(revision=sa.case((counter > floor, counter),
                                 else_=floor) + 1)
        .execution_options(synchronize_session=False))
    if not changed.rowcount:
        raise exception.HostNotFound(host=name)
    revision = context.session.scalar(
        sa.select(counter).where(models.Host.name == name))
    routing.saw(context, name, revision)
    return revision


def of_rows(uuids):
    """A scalar query: the highest revision of these instances, or 0."""
    return sa.func.coalesce(
        sa.select(sa.func.max(models.Instance.revision))
        .where(models.Instance.uuid.in_(uuids)).scalar_subquery(), 0)
