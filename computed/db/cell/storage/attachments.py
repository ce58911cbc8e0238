"""Queries on attachments: which instance has which volume.

Only the host that holds the claim on the instance changes them. The row is
there before the guest gets the volume, and until the guest has lost it: so a
volume that a guest may have is never free for another one.

The end of an instance ends its attachments in the same transaction; see
:func:`end_all`.
"""

import typing

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed import states
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.cell.storage import tables
from computed.db.cell.storage import volumes
from computed.db.engine import dialects

_MAPPING = tables.BlockDeviceMapping


@cell.write
def begin(context: computed_context.RequestContext, uuid: str, host: str,
          claim_id: str, volume_id: str, attachment_id: str) -> typing.Any:
    """Reserve a volume for an instance; a repeat is harmless.

    :param attachment_id: a uuid that the caller has drawn
    :returns: the volume with its attachment, which may be an earlier one to
        the same instance
    :raises computed.exception.ClaimNotLive: the claim is not held
    :raises computed.exception.VolumeElsewhere: it is of another host
    :raises computed.exception.VolumeInUse: another instance has it
    :raises computed.exception.VolumeNotFound: there is no such volume
    """
    values = {'volume_id': volume_id, 'attachment_id': attachment_id,
              'instance_uuid': uuid, 'status': states.ATTACHING}
    bounds.ensure_fit(_MAPPING, values)
    _ensure_held(context, uuid, host, claim_id)
    found = volumes.find(context, volume_id)
    if found.host != host:
        raise exception.VolumeElsewhere(
            volume=found.name, host=found.host, instance=uuid)
    if found.instance_uuid == uuid:
        return found
    if found.instance_uuid is not None:
        raise exception.VolumeInUse(volume=found.name,
                                    instance=found.instance_uuid)
    context.connection.execute(sa.insert(_MAPPING).values(
        attached_at=dialects.utcnow(), **values))
    return volumes.find(context, volume_id)


@cell.write
def set_status(context: computed_context.RequestContext, uuid: str,
               host: str, claim_id: str, volume_id: str,
               status: str | None) -> None:
    """Change or end an attachment; one that is not there stays absent.

    :param status: None: delete it
    :raises computed.exception.ClaimNotLive: the claim is not held
    """
    bounds.ensure_fit(_MAPPING, {'status': status or ''})
    _ensure_held(context, uuid, host, claim_id)
    same = _MAPPING.volume_id == volume_id, _MAPPING.instance_uuid == uuid
    context.connection.execute(
        sa.delete(_MAPPING).where(*same) if status is None else
        sa.update(_MAPPING).where(*same).values(status=status))


def end_all(context: computed_context.RequestContext, uuid: str) -> None:
    """Delete the attachments of an instance, in the caller's transaction.

    The caller has raised the revision of the host.
    """
    context.connection.execute(
        sa.delete(_MAPPING).where(_MAPPING.instance_uuid == uuid))


def _ensure_held(context: computed_context.RequestContext, uuid: str,
                 host: str, claim_id: str) -> None:
    revision.bump(context, host)
    row = models.Instance
    if context.connection.execute(sa.select(row.uuid).where(
            row.uuid == uuid, row.host == host,
            row.claim_id == claim_id)).first() is None:
        raise exception.ClaimNotLive(claim_id=claim_id, uuid=uuid)
