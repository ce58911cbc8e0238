"""Claims: the compare-and-swap that gives leave to act on an instance.

A claim is granted while every fact that the decision rested on still holds
on the primary, and nobody else holds one. It does not expire: only its
holder, or the same service after a new start, ends it.
"""

import sqlalchemy as sa

from computed import exception
from computed import states
from computed.db import models
from computed.db import revision
from computed.db import routing

# The facts of an instance that a claim may rest on.
FACTS = frozenset(['vm_state', 'task_state', 'power_state', 'revision'])


def _holds(name, value):
    column = getattr(models.Instance, name)
    if isinstance(value, (list, tuple)):
        return column.in_(value)
    return column.is_(None) if value is None else column == value


def _update(context, uuid, host, conditions, values):
    """Bump the host and update the row; None if it does not fit."""
    new = revision.bump(context, host, revision.of_rows([uuid]))
    row = models.Instance
    changed = context.session.execute(
        sa.update(row)
        .where(row.uuid == uuid, row.host == host, *conditions)
        .values(revision=new, updated_at=models.utcnow(), **{
            name: models.utcnow() if value == states.NOW else value
            for name, value in values.items()})
        .execution_options(synchronize_session=False))
    if not changed.rowcount:
        return None
    return context.session.get(row, uuid)


@routing.write
def _grant(context, uuid, host, claim_id, owner, operation, expected,
           values):
    unknown = expected.keys() - FACTS
    if unknown:
        raise ValueError(f'a claim cannot rest on {sorted(unknown)}')
    row = _update(
        context, uuid, host,
        [models.Instance.deleted == sa.false(),
         models.Instance.claim_id.is_(None),
         *(_holds(name, value) for name, value in expected.items())],
        {**values, 'claim_id': claim_id, 'claim_owner': owner,
         'claimed_at': models.utcnow()})
    if row is None:
        # Raised, so that the bump is rolled back too.
        raise exception.ClaimLost(uuid=uuid, operation=operation)
    return row


@routing.read
def _held(context, uuid, claim_id):
    return context.session.scalar(
        sa.select(models.Instance)
        .where(models.Instance.uuid == uuid,
               models.Instance.claim_id == claim_id))


def _or_held(context, uuid, claim_id, attempt):
    """The row of ``attempt``; if that is lost, because an earlier one with
    the same claim id was not, the row it got.
    """
    try:
        return attempt()
    except exception.ClaimLost:
        row = _held(context, uuid, claim_id)
        if row is None:
            raise
        return row


def grant(context, uuid, host, claim_id, owner, operation, expected, values):
    """Grant a claim, or find it granted: a repeated request is granted once.

    :param expected: ``{fact: value or list of values}``, see ``FACTS``
    :param values: columns to set with the grant (``task_state``)
    :returns: the fresh row
    :raises computed.exception.ClaimLost: a fact no longer holds, or
        somebody else has a claim
    """
    return _or_held(context, uuid, claim_id, lambda: _grant(
        context, uuid, host, claim_id, owner, operation, expected, values))


@routing.write
def settle(context, uuid, host, claim_id, values):
    """End a claim and write what came of it.

    :returns: the fresh row; None if the claim is not held (any more), as
        after a settlement whose reply was lost
    """
    row = _update(context, uuid, host,
                  [models.Instance.claim_id == claim_id],
                  {**values, 'claim_id': None, 'claim_owner': None,
                   'claimed_at': None})
    if row is None:
        routing.undo(context)
    return row


def adopt(context, uuid, host, old_claim_id, service_id, claim_id, owner):
    """Take over a claim of the same service; repeating it does no harm.

    :returns: the fresh row
    :raises computed.exception.ClaimLost: it is not held by that service
    """
    return _or_held(context, uuid, claim_id, lambda: _adopt(
        context, uuid, host, old_claim_id, service_id, claim_id, owner))


@routing.write
def _adopt(context, uuid, host, old_claim_id, service_id, claim_id, owner):
    row = _update(
        context, uuid, host,
        [models.Instance.claim_id == old_claim_id,
         models.Instance.claim_owner.startswith(f'{service_id}:',
                                                autoescape=True)],
        {'claim_id': claim_id, 'claim_owner': owner,
         'claimed_at': models.utcnow()})
    if row is None:
        raise exception.ClaimLost(uuid=uuid, operation='adopt')
    return row
