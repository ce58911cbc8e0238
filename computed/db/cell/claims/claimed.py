"""Write the rows of a claim, and read them back.

The rows may be of several kinds and hosts.
"""

import functools
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed.db.cell import bounds
from computed.db.cell import revision
from computed.db.cell import transitions
from computed.db.cell.claims import requested
from computed.db.cell.database import cell
from computed.db.engine import dialects
from computed.db.engine import prepared

# The wire form of a row of a claim: see grant() and settle().
Row = requested.Row
Rows = abc.Sequence[Row]
KINDS = requested.KINDS
# The fresh rows of a claim, each with its kind.
Fresh: typing.TypeAlias = list[tuple[str, typing.Any]]


def with_kinds(rows: Rows, found: abc.Iterable[typing.Any]) -> Fresh:
    """Return the fresh rows, each with its kind; None stays None."""
    return [(row['kind'], fresh)
            for row, fresh in zip(rows, found, strict=True)]


def bumped(context: computed_context.RequestContext,
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


def update(context: computed_context.RequestContext, row: Row,
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
    if not change(context, kind.model, same, {**values, 'revision': top}):
        return None
    return prepared.get(context, kind.model, row['key'])


def change(context: computed_context.RequestContext, model: typing.Any,
           same: list[prepared.Part],
           values: abc.Mapping[str, typing.Any]) -> bool:
    """Write the columns of a row; return whether the conditions hold.

    :param values: which may be the time of the database
    """
    values = transitions.dated(values)
    times = frozenset(name for name, value in values.items()
                      if isinstance(value, sa.ClauseElement))
    return bool(context.connection.execute(
        _updating(model, prepared.texts(same), times),
        {**prepared.values(same), **{
            name: value for name, value in values.items()
            if name not in times}}).rowcount)


# Peers choose the facts, and the columns that get the time.
@functools.lru_cache(maxsize=500)
def _updating(model: typing.Any, same: tuple[typing.Any, ...],
              times: frozenset[str]) -> sa.Update:
    return sa.update(model).where(*same).values(
        transitions.now({*times, 'updated_at'}))


@functools.cache
def _selecting(model: typing.Any, same: tuple[typing.Any, ...]) -> sa.Select:
    return sa.select(model).where(*same)


def held_by(claim_id: str, owner: str) -> dict[str, typing.Any]:
    return {'claim_id': claim_id, 'claim_owner': owner,
            'claimed_at': dialects.utcnow()}


FREE: dict[str, typing.Any] = {
    'claim_id': None, 'claim_owner': None, 'claimed_at': None}


def of_service(column: typing.Any,
               service_id: str) -> sa.ColumnElement[bool]:
    """Return a condition: the owner is any run of this service."""
    return column.startswith(f'{service_id}:', autoescape=True)


def find(context: computed_context.RequestContext, kind: requested.Kind,
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
def held(context: computed_context.RequestContext, claim_id: str,
         wanted: Rows) -> list | None:
    """Return the rows if all of them are held under this claim, else None."""
    found = []
    for row in wanted:
        kind = KINDS[row['kind']]
        found.append(find(context, kind, row, prepared.equals(
            kind.model.claim_id, claim_id)))
    return None if None in found else found
