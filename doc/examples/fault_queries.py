"""The queries of an object: what would be ``computed/db/fault.py``."""

import sqlalchemy as sa

from computed import exception
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.engine import dialects


@cell.read
def get(context, uuid):
    """What went wrong with an instance lately.

    :raises computed.exception.InstanceNotFound: there is none
    """
    instance, host = models.Instance, models.Host
    found = context.session.execute(
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
    """Forget what went wrong; returns the row's new revision.

    :raises computed.exception.InstanceChanged: the instance is no longer
        as it was read, or somebody works on it
    """
    new = revision.bump(context, host, sa.literal(expected_revision))
    instance = models.Instance
    changed = context.session.execute(
        sa.update(instance)
        .where(instance.uuid == uuid, instance.host == host,
               instance.revision == expected_revision,
               instance.claim_id.is_(None))
        .values(fault=None, revision=new, updated_at=dialects.utcnow())
        .execution_options(synchronize_session=False))
    if not changed.rowcount:
        # Raised, so that the host's revision is rolled back too.
        raise exception.InstanceChanged(
            uuid=uuid, revision=expected_revision)
    return new
