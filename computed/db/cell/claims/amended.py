"""Write columns of a row under its claim, which goes on."""

import typing

from computed import context as computed_context
from computed import exception
from computed.db.cell.claims import claimed
from computed.db.cell.claims import fence
from computed.db.cell.claims import requested
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.engine import prepared


def amend(context: computed_context.RequestContext, claim_id: str,
          owner: str, operation: str, row: claimed.Row) -> claimed.Fresh:
    """Write columns of a claimed row; a repeat is harmless.

    :param owner: ``service_id:boot_id`` of the run that holds the claim
    :param operation: what is done, for the action log
    :param row: as for :func:`computed.db.cell.claims.claim.grant`
    :returns: the fresh row
    :raises computed.exception.ClaimLost: the claim is not held any more, or a
        fact no longer holds
    :raises computed.exception.InvalidValue: a value does not fit
    :raises computed.exception.Replaced: another run of a service is
        registered for this host
    """
    requested.ensure([row])
    try:
        found = _amend(context, claim_id, owner, operation, row)
    except exception.ClaimLost:
        held = claimed.held(context, claim_id, [row])
        if held is None or any(getattr(held[0], name) != value
                               for name, value in row['values'].items()):
            raise
        found = held[0]
    return claimed.with_kinds([row], [found])


@cell.write
def _amend(context: computed_context.RequestContext, claim_id: str,
           owner: str, operation: str, row: claimed.Row) -> typing.Any:
    new = claimed.bumped(context, [row])
    kind = claimed.KINDS[row['kind']]
    found = claimed.update(
        context, row,
        [prepared.equals(kind.model.claim_id, claim_id),
         fence.stands(owner, new),
         *(requested.holds(kind, name, value)
           for name, value in row['expected'].items())], new, {})
    if found is None:
        fence.explain(context, new, owner, operation, freezes=False)
        raise exception.ClaimLost(uuid=row['key'], operation=operation)
    events.note(context, operation, uuid=found.uuid, name=found.name,
                host=found.host, state_after=found.vm_state,
                reason=row.get('reason'))
    return found
