"""Claims on guests that have no instance.

Such a claim rests on the absence of a row, which cannot be compared and
swapped. The row of the host is compared instead: its revision counts every
change of its instances, so it must still be the revision that came with the
list in which the instance was missing.
"""

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell.claims import claimed
from computed.db.cell.claims import fence
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.engine import dialects
from computed.db.engine import prepared


def grant(context: computed_context.RequestContext, uuid: str, host: str,
          listed: int, claim_id: str, owner: str, operation: str) -> int:
    """Grant a claim on a guest without an instance; a repeat is harmless.

    It is refused if anything changed on the host since the list was read, or
    if a live instance with this uuid is on another host.

    :param listed: the revision of the host that came with a strict list
    :returns: the revision of the host now; the list is still true, so the
        next claim of this kind uses it as ``listed``
    :raises computed.exception.ClaimLost: something changed, or another claim
        holds the guest
    :raises computed.exception.Frozen: the host is frozen
    :raises computed.exception.Replaced: another run of a service is
        registered for the host
    """
    try:
        return _grant(context, uuid, host, listed, claim_id, owner,
                      operation)
    except (exception.ClaimLost, exception.Frozen,
            exception.RowExists) as error:
        now = _held(context, uuid, host, claim_id)
        if now is not None:
            return now
        if not isinstance(error, exception.RowExists):
            raise
        raise exception.ClaimLost(uuid=uuid, operation=operation) from error


@cell.write
def _grant(context: computed_context.RequestContext, uuid: str, host: str,
           listed: int, claim_id: str, owner: str, operation: str) -> int:
    now = revision.bump_if(context, host, listed)
    fence.explain(context, [host], owner, operation)
    if now is None or _taken(context, uuid):
        # An error also rolls back the new revision.
        raise exception.ClaimLost(uuid=uuid, operation=operation)
    values = {'uuid': uuid, 'host': host, 'claim_id': claim_id,
              'claim_owner': owner}
    bounds.ensure_fit(models.GuestClaim, values)
    context.connection.execute(sa.insert(models.GuestClaim).values(
        claimed_at=dialects.utcnow(), **values))
    events.begin(context, claim_id, operation, [events.Subject(uuid, host)],
                 {})
    return now


def _taken(context: computed_context.RequestContext, uuid: str) -> bool:
    """Return whether a live instance or a claim has this uuid."""
    instance = context.connection.scalar(
        sa.select(models.Instance.uuid)
        .where(models.Instance.uuid == uuid,
               models.Instance.deleted == sa.false()))
    return (instance is not None or
            prepared.get(context, models.GuestClaim, uuid) is not None)


@cell.read
def _held(context: computed_context.RequestContext, uuid: str, host: str,
          claim_id: str) -> int | None:
    found = context.connection.execute(
        sa.select(models.Host.revision)
        .join(models.GuestClaim, models.GuestClaim.host == models.Host.name)
        .where(models.Host.name == host, models.GuestClaim.uuid == uuid,
               models.GuestClaim.claim_id == claim_id)).one_or_none()
    return found and found.revision


@cell.write
def settle(context: computed_context.RequestContext, uuid: str,
           claim_id: str, owner: str, acted: bool) -> bool:
    """End a claim.

    This changes no row that a decision can rest on, so it raises no revision.

    :param owner: ``service_id:boot_id`` of the run that ends it
    :param acted: False: nothing was done, or nobody knows what
    :returns: False if the claim was not held
    :raises computed.exception.Replaced: another run of a service is
        registered for the host
    """
    row = models.GuestClaim
    same = row.uuid == uuid, row.claim_id == claim_id
    stands = fence.stands_for(owner, row.host)
    if context.connection.execute(
            sa.delete(row).where(*same, stands.sql), stands.values).rowcount:
        events.end_all(context, claim_id,
                       events.DONE if acted else events.RELEASED)
        return True
    host = context.connection.scalar(sa.select(row.host).where(*same))
    if host is not None:
        fence.explain(context, [host], owner, 'the end of a claim',
                        freezes=False)
    return False


@cell.read
def get_all_of(context: computed_context.RequestContext,
               service_id: str) -> dict[str, str]:
    """Return ``{claim_id: uuid}`` of all claims that a service holds."""
    row = models.GuestClaim
    found = context.connection.execute(
        sa.select(row.claim_id, row.uuid)
        .where(claimed.of_service(row.claim_owner, service_id)))
    return dict(row for row in found)


@cell.read
def get_former(context: computed_context.RequestContext, host: str,
               service_id: str) -> dict[str, str]:
    """Return ``{claim_id: uuid}`` of the claims of former services of a host.

    :param service_id: the service that has the host now
    """
    row = models.GuestClaim
    found = context.connection.execute(
        sa.select(row.claim_id, row.uuid)
        .where(row.host == host,
               ~claimed.of_service(row.claim_owner, service_id)))
    return dict(row for row in found)
