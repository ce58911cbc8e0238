"""Claims on guests that have no instance: they rest on an absence.

What is not there cannot be compared and swapped. So the host's row is: its
revision counts every change of its instances, and is still the one that came
with the list in which the instance was missing.
"""

import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed import exception
from computed.db.cell import claim
from computed.db.cell import freeze
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.engine import dialects


def grant(context, uuid, host, listed, claim_id, owner, operation):
    """Grant a claim on a guest without an instance, or find it granted.

    It is refused on any doubt: if anything changed on the host since the
    list, or there is a live instance of this uuid on another host.

    :param listed: the host's revision as it came with a strict list
    :returns: the host's revision now, with which the next such claim may be
        asked for: the list is still true
    :raises computed.exception.ClaimLost: something changed
    :raises computed.exception.Frozen: nothing may be begun there
    """
    try:
        return _grant(context, uuid, host, listed, claim_id, owner,
                      operation)
    except (exception.ClaimLost, exception.Frozen,
            db_exc.DBDuplicateEntry) as error:
        now = _held(context, uuid, host, claim_id)
        if now is not None:
            return now
        if isinstance(error, exception.ComputedError):
            raise
        raise exception.ClaimLost(uuid=uuid, operation=operation) from error


@cell.write
def _grant(context, uuid, host, listed, claim_id, owner, operation):
    now = revision.bump_if(context, host, listed)
    freeze.refuse_if_frozen(context, [host], operation)
    lost = now is None or context.session.scalar(
        sa.select(models.Instance.uuid)
        .where(models.Instance.uuid == uuid,
               models.Instance.deleted == sa.false()))
    if lost or context.session.get(models.GuestClaim, uuid) is not None:
        # Raised, so that the bump is rolled back too.
        raise exception.ClaimLost(uuid=uuid, operation=operation)
    context.session.execute(sa.insert(models.GuestClaim).values(
        uuid=uuid, host=host, claim_id=claim_id, claim_owner=owner,
        claimed_at=dialects.utcnow()))
    return now


@cell.read
def _held(context, uuid, host, claim_id):
    found = context.session.execute(
        sa.select(models.Host.revision)
        .join(models.GuestClaim, models.GuestClaim.host == models.Host.name)
        .where(models.Host.name == host, models.GuestClaim.uuid == uuid,
               models.GuestClaim.claim_id == claim_id)).one_or_none()
    return found and found.revision


@cell.write
def settle(context, uuid, claim_id):
    """End a claim; returns whether it was held.

    No row that decisions rest on changes, so no revision does.
    """
    row = models.GuestClaim
    return bool(context.session.execute(
        sa.delete(row).where(row.uuid == uuid, row.claim_id == claim_id)
        .execution_options(synchronize_session=False)).rowcount)


@cell.read
def get_all_of(context, service_id):
    """``{claim_id: uuid}`` of the claims that a service holds."""
    row = models.GuestClaim
    found = context.session.execute(
        sa.select(row.claim_id, row.uuid)
        .where(claim.of_service(row.claim_owner, service_id)))
    return dict(row for row in found)
