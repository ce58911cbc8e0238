"""Claims: the compare-and-swap that allows a service to act on rows.

A claim is granted if every fact that the decision rested on still holds on
the primary, and if there is no other claim on its rows. It does not expire:
only its holder ends it, or the same service after a restart. A claim may name
several rows of several kinds and hosts: it is granted on all or on none.
"""

import typing

from computed import context as computed_context
from computed import exception
from computed.db.cell import console_tokens
from computed.db.cell.claims import claimed
from computed.db.cell.claims import fence
from computed.db.cell.claims import remembered
from computed.db.cell.claims import requested
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.cell.history import notices
from computed.db.cell.storage import attachments
from computed.db.engine import prepared

# The kind of rows whose acts are logged.
INSTANCE = 'instance'

def _conditions(kind: requested.Kind, expected: dict[str, typing.Any]
                ) -> list[prepared.Part]:
    facts = {**kind.defaults, **expected}
    return [prepared.equals(kind.model.claim_id, None),
            *(requested.holds(kind, name, value)
              for name, value in facts.items())]


def _result(row: claimed.Row) -> str:
    """Return how an act has ended, by the end of its claim."""
    if not row.get('acted'):
        return events.RELEASED
    return events.FAILED if row['values'].get('fault') else events.DONE


def _order(rows: claimed.Rows) -> claimed.Rows:
    """Return the rows in the one order in which all claims lock them."""
    return sorted(rows, key=lambda row: (row['kind'], row['key']))


@cell.write
def _grant(context: computed_context.RequestContext, claim_id: str,
           owner: str, operation: str, wanted: claimed.Rows) -> list:
    new = claimed.bumped(context, wanted)
    now = fence.explain(context, new, owner, operation)
    granted = {}
    for row in _order(wanted):
        kind = claimed.KINDS[row['kind']]
        facts = _conditions(kind, row['expected'])
        found = claimed.update(
            context, row,
            [*facts, *remembered.conditions(kind.model, row, now)], new,
            claimed.held_by(claim_id, owner))
        if found is None:
            # An error also rolls back the revisions and the other rows.
            fence.explain(context, new, owner, operation,
                          unmet=fence.Unmet(kind.model, row, facts))
            raise exception.ClaimLost(uuid=row['key'], operation=operation)
        granted[row['kind'], row['key']] = found
    events.begin(context, claim_id, operation, [
        found for (kind, _), found in granted.items()
        if kind == INSTANCE], {
            row['key']: row.get('reason') for row in wanted})
    return [granted[row['kind'], row['key']] for row in wanted]


def grant(context: computed_context.RequestContext, claim_id: str,
          owner: str, operation: str, wanted: claimed.Rows) -> claimed.Fresh:
    """Grant a claim; a repeat of the request is harmless.

    :param wanted: ``[{'kind', 'key', 'host', 'expected', 'values'}]``.
        ``kind`` is a key of ``claimed.KINDS``, ``key`` identifies the row,
        ``expected`` is ``{fact: value or list of values}``, and ``values``
        are columns to set with the grant, such as ``task_state``.
        ``remembered`` is what the host knows of the row, or None.
        ``reason`` is why it asks, for the action log, or None.
    :returns: the fresh rows, in the same order
    :raises computed.exception.ClaimLost: a fact no longer holds, or there is
        another claim
    :raises computed.exception.InstanceRegressed: a row lacks what its host
        remembers
    :raises computed.exception.Frozen: a host is frozen
    :raises computed.exception.InvalidValue: a value does not fit
    :raises computed.exception.Replaced: another run of a service is
        registered for these hosts
    """
    requested.ensure(wanted)
    rows: list | None
    try:
        rows = _grant(context, claim_id, owner, operation, wanted)
    except (exception.ClaimLost, exception.Frozen):
        rows = claimed.held(context, claim_id, wanted)
        if rows is None:
            raise
        notices.announce_again(context, claim_id)
    return claimed.with_kinds(wanted, rows)


def settle(context: computed_context.RequestContext, claim_id: str,
           rows: claimed.Rows, owner: str) -> claimed.Fresh:
    """End a claim and write its result.

    Only the holder changes a claimed row, so the row has the revision of the
    grant. If it has another one, then a delayed request was granted this
    claim once more after its end, and the result is out of date. The action
    log refuses that, but it is not kept for ever, nor has it all kinds.

    :param rows: ``[{'kind', 'key', 'host', 'values', 'revision',
        'acted', 'because'}]``, all rows of the claim. Without a revision, or
        with None, any revision is accepted. ``acted``: the values are a
        result, so the row gets the claim's id as its mark. ``because``: why
        nothing was done.
    :returns: a fresh row for each. None if the claim is not held (any more)
        and its result was not the last one that was written
    :param owner: ``service_id:boot_id`` of the run that ends it: the one that
        got the claim, or a later one of the same service
    :raises computed.exception.InvalidValue: a value does not fit
    :raises computed.exception.Replaced: another run of a service is
        registered for these hosts
    """
    requested.ensure(rows)
    settled = _settle(context, claim_id, rows, owner)
    if None in settled:
        # Perhaps the reply to an earlier call was lost.
        before = _settled(context, claim_id, [row for row, found in zip(
            rows, settled, strict=True) if found is None])
        settled = [found or before.get((row['kind'], row['key']))
                   for row, found in zip(rows, settled, strict=True)]
        if any(before.values()):
            notices.announce_again(context, claim_id)
    return claimed.with_kinds(rows, settled)


# A write, so that a later read of the request sees the rows on each replica.
@cell.write
def _settled(context: computed_context.RequestContext, claim_id: str,
             rows: claimed.Rows) -> dict[tuple[str, str], typing.Any]:
    """Return those rows whose last result is that of this claim."""
    found = {}
    for row in rows:
        kind = claimed.KINDS[row['kind']]
        found[row['kind'], row['key']] = claimed.find(
            context, kind, row, prepared.equals(
                kind.model.settled_claim_id, claim_id))
    return found


@cell.write
def _settle(context: computed_context.RequestContext, claim_id: str,
            rows: claimed.Rows, owner: str) -> list:
    """End a claim; return a fresh row for each, None if it is not held."""
    new = claimed.bumped(context, rows)
    settled = {}
    for row in _order(rows):
        model = claimed.KINDS[row['kind']].model
        held = [prepared.equals(model.claim_id, claim_id),
                fence.stands(owner, new)]
        if row.get('revision') is not None:
            # A second line, which schedules do not notice, because the action
            # log has each of their claims.
            held.append(prepared.equals(model.revision, row['revision']))
        settled[row['kind'], row['key']] = claimed.update(
            context, row, held, new,
            {**claimed.FREE, 'settled_claim_id': claim_id} if row.get('acted')
            else claimed.FREE)
    if not any(settled.values()):
        fence.explain(context, new, owner, 'the end of a claim',
                      freezes=False)
        cell.undo(context)
    for row in rows:
        found = settled[row['kind'], row['key']]
        if found is not None and row['kind'] == INSTANCE:
            events.end(context, claim_id, found, _result(row),
                       row.get('because'))
            if found.deleted and not found.guest_left:
                attachments.end_all(context, found.uuid)
            if found.deleted:
                console_tokens.forget(context, found.uuid)
    return [settled[row['kind'], row['key']] for row in rows]
