"""Take over the claims of an earlier run, or of a former service."""

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell.claims import claim
from computed.db.cell.claims import claimed
from computed.db.cell.claims import fence
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.engine import prepared

KINDS = claimed.KINDS
Rows = claimed.Rows


@cell.read
def _members(context: computed_context.RequestContext, claim_id: str,
             service_id: str) -> Rows:
    """Return the rows that a service holds under a claimed."""
    found: list[claimed.Row] = []
    for name, kind in KINDS.items():
        rows = context.connection.execute(
            sa.select(kind.column, kind.model.host)
            .where(claimed.of_service(kind.model.claim_owner, service_id),
                   kind.model.claim_id == claim_id)
            .order_by(kind.column))
        found += [{'kind': name, 'key': key, 'host': host, 'values': {}}
                  for key, host in rows]
    return found


def adopt(context: computed_context.RequestContext, uuid: str,
          old_claim_id: str, service_id: str, claim_id: str,
          owner: str) -> claimed.Fresh:
    """Take over a claim with all its rows.

    A repeat is harmless.

    :param uuid: one of its instances
    :param service_id: who holds it: the service of ``owner``, or one that is
        registered for none of its hosts any more
    :returns: the fresh rows
    :raises computed.exception.ClaimLost: the service does not hold it, or is
        still registered
    """
    # The reads are strict, and the write compares the claim again.
    members = _members(context, old_claim_id, service_id)
    if members:
        return claimed.with_kinds(members, _adopt(
            context, uuid, members, old_claim_id, service_id, claim_id,
            owner))
    members = _members(context, claim_id, owner.partition(':')[0])
    rows = members and claimed.held(context, claim_id, members)
    if not rows:
        raise exception.ClaimLost(uuid=uuid, operation='adopt')
    return claimed.with_kinds(members, rows)


@cell.write
def _adopt(context: computed_context.RequestContext, uuid: str,
           members: Rows, old_claim_id: str, service_id: str, claim_id: str,
           owner: str) -> list:
    new = claimed.bumped(context, members)
    may = [fence.stands(owner, new)]
    if service_id != owner.partition(':')[0]:
        may.append(fence.is_gone(service_id, new))
    adopted = [claimed.update(
        context, row, [prepared.equals(KINDS[row['kind']].model.claim_id,
                                       old_claim_id), *may],
        new, claimed.held_by(claim_id, owner)) for row in members]
    if None in adopted:
        fence.explain(context, new, owner, 'adopt', freezes=False)
        raise exception.ClaimLost(uuid=uuid, operation='adopt')
    events.end_all(context, old_claim_id, events.TAKEN_OVER)
    events.begin(context, claim_id, 'adopt', [
        found for row, found in zip(members, adopted, strict=True)
        if row['kind'] == claim.INSTANCE], {})
    return adopted
