"""Claims: the compare-and-swap that allows a service to act on rows.

A claim is granted if every fact that the decision rested on still holds on
the primary, and if there is no other claim on its rows. It does not expire:
only its holder ends it, or the same service after a restart. A claim may name
several rows of several kinds and hosts: it is granted on all or on none.
"""

import functools
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import bounds
from computed.db.cell import fence
from computed.db.cell import remembered
from computed.db.cell import requested
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.engine import dialects
from computed.db.engine import prepared

# The wire form of a row of a claim: see grant() and settle().
Row = requested.Row
Rows = abc.Sequence[Row]
KINDS = requested.KINDS


# The fresh rows of a claim, each with its kind.
Fresh: typing.TypeAlias = list[tuple[str, typing.Any]]


def _with_kinds(rows: Rows, found: abc.Iterable[typing.Any]) -> Fresh:
    return [(row['kind'], fresh)
            for row, fresh in zip(rows, found, strict=True)]


def _conditions(kind: requested.Kind, expected: dict[str, typing.Any]
                ) -> list[prepared.Part]:
    facts = {**kind.defaults, **expected}
    return [prepared.equals(kind.model.claim_id, None),
            *(requested.holds(kind, name, value)
              for name, value in facts.items())]


def _order(rows: Rows) -> Rows:
    """Return the rows in the one order in which all claims lock them."""
    return sorted(rows, key=lambda row: (row['kind'], row['key']))


def _bumped(context: computed_context.RequestContext,
            rows: Rows) -> dict[str | None, int]:
    """Raise the revision of each host of the rows, and of new hosts."""
    floors: dict[str | None, dict[str, list[str]]] = {}
    for row in rows:
        for host in {row['host'], row['values'].get('host', row['host'])}:
            floors.setdefault(host, {}).setdefault(row['kind'], []).append(
                row['key'])
    return revision.bump_all(context, {
        host: _highest(keys) for host, keys in floors.items()})


def _highest(keys: dict[str, list[str]]) -> prepared.Part:
    """Return a scalar query: the highest revision of these rows, or 0.

    :param keys: ``{kind: keys}``
    """
    return prepared.Part(_highest_of(tuple(sorted(keys))), {
        f'the_keys_of_{kind}': some for kind, some in keys.items()})


@functools.cache
def _highest_of(kinds: tuple[str, ...]) -> sa.ColumnElement[int]:
    parts = [sa.select(sa.func.max(KINDS[kind].model.revision).label('top'))
             .where(KINDS[kind].column.in_(
                 prepared.several(f'keys_of_{kind}')))
             for kind in kinds]
    if len(parts) > 1:
        all_kinds = sa.union_all(*parts).subquery()
        parts = [sa.select(sa.func.max(all_kinds.c.top))]
    return sa.func.coalesce(parts[0].scalar_subquery(), 0)


def _update(context: computed_context.RequestContext, row: Row,
            conditions: list[prepared.Part],
            new: dict[str | None, int],
            claim: dict[str, typing.Any]) -> typing.Any:
    """Write one row and its claim, and return the fresh row.

    :param new: the new revisions, ``{host: revision}``
    :returns: None if a condition does not hold
    """
    kind, values = KINDS[row['kind']], {**row['values'], **claim}
    same = [prepared.equals(kind.column, row['key']),
            prepared.equals(kind.model.host, row['host']), *conditions]
    top = max(new[row['host']], new[values.get('host', row['host'])])
    values = requested.resolved(values)
    bounds.ensure_fit(kind.model, values)
    now = {name for name, value in values.items()
           if isinstance(value, dialects.utcnow)}
    changed = context.connection.execute(
        _updating(kind.model, prepared.texts(same), frozenset(now)),
        {**prepared.values(same), 'revision': top,
         **{name: value for name, value in values.items()
            if name not in now}})
    if not changed.rowcount:
        return None
    return prepared.get(context, kind.model, row['key'])


# Peers choose the facts, and the columns that get the time.
@functools.lru_cache(maxsize=500)
def _updating(model: typing.Any, same: tuple[typing.Any, ...],
              now: frozenset[str]) -> sa.Update:
    return sa.update(model).where(*same).values(
        dict.fromkeys({*now, 'updated_at'}, dialects.utcnow()))


@functools.cache
def _selecting(model: typing.Any, same: tuple[typing.Any, ...]) -> sa.Select:
    return sa.select(model).where(*same)


def _held_by(claim_id: str, owner: str) -> dict[str, typing.Any]:
    return {'claim_id': claim_id, 'claim_owner': owner,
            'claimed_at': dialects.utcnow()}


FREE: dict[str, typing.Any] = {
    'claim_id': None, 'claim_owner': None, 'claimed_at': None}


@cell.write
def _grant(context: computed_context.RequestContext, claim_id: str,
           owner: str, operation: str, wanted: Rows) -> list:
    new = _bumped(context, wanted)
    now = fence.explain(context, new, owner, operation)
    granted = {}
    for row in _order(wanted):
        kind = KINDS[row['kind']]
        facts = _conditions(kind, row['expected'])
        found = _update(
            context, row,
            [*facts, *remembered.conditions(kind.model, row, now)], new,
            _held_by(claim_id, owner))
        if found is None:
            # An error also rolls back the revisions and the other rows.
            fence.explain(context, new, owner, operation,
                            unmet=fence.Unmet(kind.model, row, facts))
            raise exception.ClaimLost(uuid=row['key'], operation=operation)
        granted[row['kind'], row['key']] = found
    return [granted[row['kind'], row['key']] for row in wanted]


def _find(context: computed_context.RequestContext, kind: requested.Kind,
          row: Row, condition: prepared.Part) -> typing.Any:
    """Return a row if an earlier call has written it, else None."""
    same = [prepared.equals(kind.column, row['key']), condition]
    found = context.connection.execute(
        _selecting(kind.model, prepared.texts(same)),
        prepared.values(same)).one_or_none()
    if found is not None:
        cell.record_revision(context, found.host, found.revision)
    return found


# A write, so that a later read of the request sees the rows on each replica.
@cell.write
def _held(context: computed_context.RequestContext, claim_id: str,
          wanted: Rows) -> list | None:
    """Return the rows if all of them are held under this claim, else None."""
    found = []
    for row in wanted:
        kind = KINDS[row['kind']]
        found.append(_find(context, kind, row, prepared.equals(
            kind.model.claim_id, claim_id)))
    return None if None in found else found


def grant(context: computed_context.RequestContext, claim_id: str,
          owner: str, operation: str, wanted: Rows) -> Fresh:
    """Grant a claim; a repeat of the request is harmless.

    :param wanted: ``[{'kind', 'key', 'host', 'expected', 'values'}]``.
        ``kind`` is a key of ``KINDS``, ``key`` identifies the row,
        ``expected`` is ``{fact: value or list of values}``, and ``values``
        are columns to set with the grant, such as ``task_state``.
        ``remembered`` is what the host knows of the row, or None.
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
        rows = _held(context, claim_id, wanted)
        if rows is None:
            raise
    return _with_kinds(wanted, rows)


def settle(context: computed_context.RequestContext, claim_id: str,
           rows: Rows, owner: str) -> Fresh:
    """End a claim and write its result.

    Only the holder changes a claimed row, so the row has the revision of the
    grant. If it has another one, then a delayed request was granted this
    claim once more after its end, and the result is out of date.

    :param rows: ``[{'kind', 'key', 'host', 'values', 'revision',
        'acted'}]``, all rows of the claim. Without a revision, or with None,
        any revision is accepted. ``acted``: the values are a result, so the
        row gets the claim's id as its mark.
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
    return _with_kinds(rows, settled)


# A write, as above.
@cell.write
def _settled(context: computed_context.RequestContext, claim_id: str,
             rows: Rows) -> dict[tuple[str, str], typing.Any]:
    """Return those rows whose last result is that of this claim."""
    found = {}
    for row in rows:
        kind = KINDS[row['kind']]
        found[row['kind'], row['key']] = _find(
            context, kind, row, prepared.equals(
                kind.model.settled_claim_id, claim_id))
    return found


@cell.write
def _settle(context: computed_context.RequestContext, claim_id: str,
            rows: Rows, owner: str) -> list:
    """End a claim; return a fresh row for each, None if it is not held."""
    new = _bumped(context, rows)
    settled = {}
    for row in _order(rows):
        model = KINDS[row['kind']].model
        held = [prepared.equals(model.claim_id, claim_id),
                fence.stands(owner, new)]
        if row.get('revision') is not None:
            held.append(prepared.equals(model.revision, row['revision']))
        settled[row['kind'], row['key']] = _update(
            context, row, held, new,
            {**FREE, 'settled_claim_id': claim_id} if row.get('acted')
            else FREE)
    if not any(settled.values()):
        fence.explain(context, new, owner, 'the end of a claim',
                        freezes=False)
        cell.undo(context)
    return [settled[row['kind'], row['key']] for row in rows]


@cell.read
def _members(context: computed_context.RequestContext, claim_id: str,
             service_id: str) -> Rows:
    """Return the rows that a service holds under a claim."""
    found: list[Row] = []
    for name, kind in KINDS.items():
        rows = context.connection.execute(
            sa.select(kind.column, kind.model.host)
            .where(of_service(kind.model.claim_owner, service_id),
                   kind.model.claim_id == claim_id)
            .order_by(kind.column))
        found += [{'kind': name, 'key': key, 'host': host, 'values': {}}
                  for key, host in rows]
    return found


def of_service(column: typing.Any,
               service_id: str) -> sa.ColumnElement[bool]:
    """Return a condition: the owner is any run of this service."""
    return column.startswith(f'{service_id}:', autoescape=True)


def adopt(context: computed_context.RequestContext, uuid: str,
          old_claim_id: str, service_id: str, claim_id: str,
          owner: str) -> Fresh:
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
        return _with_kinds(members, _adopt(
            context, uuid, members, old_claim_id, service_id, claim_id,
            owner))
    members = _members(context, claim_id, owner.partition(':')[0])
    rows = members and _held(context, claim_id, members)
    if not rows:
        raise exception.ClaimLost(uuid=uuid, operation='adopt')
    return _with_kinds(members, rows)


@cell.write
def _adopt(context: computed_context.RequestContext, uuid: str,
           members: Rows, old_claim_id: str, service_id: str, claim_id: str,
           owner: str) -> list:
    new = _bumped(context, members)
    may = [fence.stands(owner, new)]
    if service_id != owner.partition(':')[0]:
        may.append(fence.is_gone(service_id, new))
    adopted = [_update(
        context, row, [prepared.equals(KINDS[row['kind']].model.claim_id,
                                       old_claim_id), *may],
        new, _held_by(claim_id, owner)) for row in members]
    if None in adopted:
        fence.explain(context, new, owner, 'adopt', freezes=False)
        raise exception.ClaimLost(uuid=uuid, operation='adopt')
    return adopted
