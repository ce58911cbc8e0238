"""The queries of an object; they would be ``computed/db/cell/fault.py``."""

import sqlalchemy as sa

from computed import exception
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.engine import dialects


@cell.read
def get(context, uuid):
    """Return the last fault of an instance.

    :raises computed.exception.InstanceNotFound: there is no instance
    """
    instance, host = models.Instance, models.Host
    found = context.connection.execute(
        sa.select(instance.uuid, instance.host, instance.fault,
                  instance.revision, host.revision.label('host_revision'))
        .join(host, host.name == sa.func.coalesce(
            instance.host, models.NO_HOST))
        .where(instance.uuid == uuid)).one_or_none()
    if found is None:
        raise exception.InstanceNotFound(instance=uuid)
    cell.record_revision(
        context, found.host or models.NO_HOST, found.host_revision)
    return found


@cell.write
def clear(context, uuid, host, expected_revision):
    """Clear the fault, and return the new revision of the row.

    :raises computed.exception.InstanceChanged: the instance has changed since
        it was read, or is claimed
    """
    new = revision.bump(
        context, host, revision.number(expected_revision))
    instance = models.Instance
    changed = context.connection.execute(
        sa.update(instance)
        .where(instance.uuid == uuid, instance.host == host,
               instance.revision == expected_revision,
               instance.claim_id.is_(None))
        .values(fault=None, revision=new, updated_at=dialects.utcnow()))
    if not changed.rowcount:
        # The error rolls the revision of the host back, too.
        raise exception.InstanceChanged(
            uuid=uuid, revision=expected_revision)
    return new
