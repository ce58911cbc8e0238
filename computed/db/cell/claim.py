"""Claims: the compare-and-swap that gives leave to act on rows.

A claim is granted while every fact that the decision rested on still holds
on the primary, and nobody else holds one. It does not expire: only its
holder, or the same service after a new start, ends it. It may name several
rows, of several kinds and hosts: it is granted on all of them or on none.
"""

import dataclasses
import datetime
import typing

import sqlalchemy as sa

from computed import exception
from computed import states
from computed.db.cell import freeze
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.engine import dialects


@dataclasses.dataclass(frozen=True)
class Kind:
    """A table whose rows can be claimed. They have ``host``, ``revision``,
    ``updated_at`` and the three columns of a claim.

    :ivar key: the column that names a row
    :ivar facts: columns that a claim may rest on
    :ivar defaults: what holds of a row if the claim says nothing of it
    """

    model: typing.Any
    key: str
    facts: frozenset
    defaults: dict

    @property
    def column(self):
        return getattr(self.model, self.key)


KINDS = {
    'instance': Kind(
        models.Instance, 'uuid', frozenset([
            'vm_state', 'task_state', 'power_state', 'revision', 'deleted',
            'created_at', 'launched_at', 'updated_at', 'deleted_at']),
        {'deleted': False}),
}


def _holds(kind, name, value):
    column = getattr(kind.model, name)
    if isinstance(value, (list, tuple)):
        return column.in_(value)
    if isinstance(column.type, sa.DateTime) and value is not None:
        value = datetime.datetime.fromisoformat(value)
    return column.is_(None) if value is None else column == value


def _conditions(kind, expected, operation):
    unknown = expected.keys() - kind.facts
    if unknown:
        raise ValueError(f'{operation} cannot rest on {sorted(unknown)}')
    facts = {**kind.defaults, **expected}
    return [kind.model.claim_id.is_(None),
            *(_holds(kind, name, value) for name, value in facts.items())]


def _order(rows):
    """The same order for everybody who names the same rows."""
    return sorted(rows, key=lambda row: (row['kind'], row['key']))


def _bumped(context, rows):
    """Bump the host of every row, also the one it goes to."""
    floors = {}
    for row in rows:
        for host in {row['host'], row['values'].get('host', row['host'])}:
            floors.setdefault(host, {}).setdefault(row['kind'], []).append(
                row['key'])
    return revision.bump_all(context, {
        host: _highest(keys) for host, keys in floors.items()})


def _highest(keys):
    """A scalar query: the highest revision of these rows, or 0."""
    parts = [sa.select(sa.func.max(KINDS[kind].model.revision).label('top'))
             .where(KINDS[kind].column.in_(some))
             for kind, some in sorted(keys.items())]
    if len(parts) > 1:
        all_kinds = sa.union_all(*parts).subquery()
        parts = [sa.select(sa.func.max(all_kinds.c.top))]
    return sa.func.coalesce(parts[0].scalar_subquery(), 0)


def _update(context, row, conditions, new, claim):
    """Write one row with its claim; None if it does not fit.

    :param new: ``{host: revision}``
    """
    kind, values = KINDS[row['kind']], {**row['values'], **claim}
    same_host = (kind.model.host.is_(None) if row['host'] is None
                 else kind.model.host == row['host'])
    top = max(new[row['host']], new[values.get('host', row['host'])])
    changed = context.session.execute(
        sa.update(kind.model)
        .where(kind.column == row['key'], same_host, *conditions)
        .values(revision=top, updated_at=dialects.utcnow(), **{
            name: dialects.utcnow() if value == states.NOW else value
            for name, value in values.items()})
        .execution_options(synchronize_session=False))
    if not changed.rowcount:
        return None
    return context.session.get(kind.model, row['key'])


def _held_by(claim_id, owner):
    return {'claim_id': claim_id, 'claim_owner': owner,
            'claimed_at': dialects.utcnow()}


FREE = {'claim_id': None, 'claim_owner': None, 'claimed_at': None}


@cell.write
def _grant(context, claim_id, owner, operation, wanted):
    new = _bumped(context, wanted)
    freeze.refuse_if_frozen(context, new, operation)
    granted = {}
    for row in _order(wanted):
        kind = KINDS[row['kind']]
        found = _update(
            context, row, _conditions(kind, row['expected'], operation), new,
            _held_by(claim_id, owner))
        if found is None:
            # Raised, so that bumps and other rows are rolled back too.
            raise exception.ClaimLost(uuid=row['key'], operation=operation)
        granted[row['kind'], row['key']] = found
    return [granted[row['kind'], row['key']] for row in wanted]


@cell.read
def _held(context, claim_id, wanted):
    """The rows of ``wanted``, if all of them are held under this claim."""
    found = []
    for row in wanted:
        kind = KINDS[row['kind']]
        found.append(context.session.scalar(
            sa.select(kind.model).where(kind.column == row['key'],
                                        kind.model.claim_id == claim_id)))
    return None if None in found else found


def grant(context, claim_id, owner, operation, wanted):
    """Grant a claim, or find it granted: a repeated request is granted once.

    :param wanted: ``[{'kind', 'key', 'host', 'expected', 'values'}]``: a row
        by a key of ``KINDS`` and its own, ``{fact: value or list of
        values}``, and columns to set with the grant (``task_state``)
    :returns: the fresh rows, in the same order
    :raises computed.exception.ClaimLost: a fact no longer holds, or
        somebody else has a claim
    :raises computed.exception.Frozen: nothing may be begun there
    """
    try:
        return _grant(context, claim_id, owner, operation, wanted)
    except (exception.ClaimLost, exception.Frozen):
        rows = _held(context, claim_id, wanted)
        if rows is None:
            raise
        return rows


@cell.write
def settle(context, claim_id, rows):
    """End a claim and write what came of it.

    Nobody else changes a claimed row, so it has the revision of the grant.
    If it has not, a lingering request has been granted the claim once more,
    after its end: what came of it is of then.

    :param rows: ``[{'kind', 'key', 'host', 'values', 'revision'}]``, all
        that it holds; without a revision, or with None, any will do
    :returns: for each the fresh row; None if the claim is not held (any
        more), as after a settlement whose reply was lost
    """
    new = _bumped(context, rows)
    settled = {}
    for row in _order(rows):
        model = KINDS[row['kind']].model
        held = [model.claim_id == claim_id]
        if row.get('revision') is not None:
            held.append(model.revision == row['revision'])
        settled[row['kind'], row['key']] = _update(
            context, row, held, new, FREE)
    if not any(settled.values()):
        cell.undo(context)
    return [settled[row['kind'], row['key']] for row in rows]


def _members(context, claim_id, service_id):
    """The rows that a service holds under a claim."""
    found = []
    for name, kind in KINDS.items():
        rows = context.session.execute(
            sa.select(kind.column, kind.model.host)
            .where(of_service(kind.model.claim_owner, service_id),
                   kind.model.claim_id == claim_id)
            .order_by(kind.column))
        found += [{'kind': name, 'key': key, 'host': host, 'values': {}}
                  for key, host in rows]
    return found


def of_service(column, service_id):
    """A condition: the owner is a service, in whichever of its lives."""
    return column.startswith(f'{service_id}:', autoescape=True)


def adopt(context, uuid, old_claim_id, service_id, claim_id, owner):
    """Take over a claim of the same service, with all its rows; repeating it
    does no harm.

    :param uuid: of one of its instances
    :returns: the fresh rows
    :raises computed.exception.ClaimLost: it is not held by that service
    """
    # Strict reads, and what they say is compared again by the write.
    members = _read_members(context, old_claim_id, service_id)
    if members:
        return _adopt(context, uuid, members, old_claim_id, claim_id, owner)
    members = _read_members(context, claim_id, service_id)
    rows = members and _held(context, claim_id, members)
    if not rows:
        raise exception.ClaimLost(uuid=uuid, operation='adopt')
    return rows


_read_members = cell.read(_members)


@cell.write
def _adopt(context, uuid, members, old_claim_id, claim_id, owner):
    new = _bumped(context, members)
    adopted = [_update(context, row,
                       [KINDS[row['kind']].model.claim_id == old_claim_id],
                       new, _held_by(claim_id, owner))
               for row in members]
    if None in adopted:
        raise exception.ClaimLost(uuid=uuid, operation='adopt')
    return adopted
