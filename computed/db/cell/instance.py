"""Queries on the ``instances`` table, except claims."""

import functools
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed import names
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell import promised
from computed.db.cell import revision
from computed.db.cell import transitions
from computed.db.cell.claims import claimed
from computed.db.cell.claims import fence
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.cell.history import notices
from computed.db.engine import dialects
from computed.db.engine import pages
from computed.db.engine import prepared

# The maximum number of uuids in one statement.
CHUNK = 500
# No more instances fit into an answer, even if their texts are empty.
PART = pages.PAGE_BYTES // (pages.OBJECT_BYTES + pages.FIELD_BYTES * len(
    models.Instance.__table__.columns))
# The times of a row that is new.
TIMES = ('created_at', 'updated_at')
# What the user of an instance ordered. All else changes while it lives.
ORDERED = ('name', 'host', 'command', 'vcpus', 'memory_mb', 'disk_gb',
           'network')


def _live() -> sa.ColumnElement[bool]:
    return models.Instance.deleted == sa.false()


@cell.read_of_host
def get_all_by_host(context: computed_context.RequestContext,
                    host: str, beyond: str = '',
                    limit: int | None = None) -> list[models.Instance]:
    """Return every live instance on a host, by uuid.

    The revision of the host comes in the same statement, so that an empty
    list has one too.

    :param beyond: return only those with a higher uuid
    :param limit: the most rows to return; None: all
    """
    found = context.connection.execute(
        _all_by_host(bool(beyond), limit is not None), {
            'the_host': host, 'the_uuid': beyond, 'the_limit': limit}).all()
    if found:
        cell.record_revision(context, host, found[0].host_revision)
    return [row for row in found if row.uuid is not None]


@functools.cache
def _all_by_host(beyond: bool, limited: bool) -> sa.Select:
    joined = [models.Instance.host == models.Host.name, _live()]
    if beyond:
        joined.append(models.Instance.uuid > prepared.value('uuid'))
    query = (sa.select(models.Host.revision.label('host_revision'),
                       models.Instance)
             .outerjoin(models.Instance, sa.and_(*joined))
             .where(models.Host.name == prepared.value('host'))
             .order_by(models.Instance.uuid))
    return (query.limit(prepared.value('limit', sa.Integer)) if limited
            else query)


def get_part_by_host(context: computed_context.RequestContext, host: str,
                     beyond: str) -> pages.Page:
    """Return as many live instances of a host as fit into one answer.

    :param beyond: the marker of the part before; empty: the first part
    :returns: a part of :func:`get_all_by_host`
    """
    found = get_all_by_host(context, host, beyond, PART + 1)
    kept = pages.cut(found, PART)
    return pages.Page(kept, kept[-1].uuid if len(kept) < len(found) else None)


@cell.read
def get_page(context: computed_context.RequestContext, limit: int | None,
             marker: str | None, deleted: bool = False,
             **filters: str | None) -> pages.Page:
    """Return a page of live instances, by name and uuid.

    See :func:`pages.read`.

    :param deleted: return deleted ones instead
    :param filters: the value that a column must have; None: any value
    """
    row = models.Instance
    wanted = {column: value for column, value in filters.items()
              if value is not None}
    query = sa.select(row).where(row.deleted == sa.literal(deleted), *(
        getattr(row, column) == value for column, value in wanted.items()))
    # Without the hint MariaDB reads the list from its beginning.
    for dialect in ('mysql', 'mariadb'):
        query = query.with_hint(
            row, f'FORCE INDEX ({_page_index(wanted)})', dialect)
    columns = (row.uuid,) if 'name' in wanted else (row.name, row.uuid)
    return pages.read(context.connection, query, columns, limit, marker,
                      cell.max_page())


def _page_index(wanted: dict[str, str]) -> str:
    """Return the index that has the rows of a page side by side."""
    if 'host' in wanted:
        return 'instances_host_page_idx'
    if 'vm_state' in wanted and 'name' not in wanted:
        return 'instances_vm_state_page_idx'
    return 'instances_page_idx'


@functools.cache
def _with_host_revision() -> sa.Select:
    return (sa.select(models.Instance, models.Host.revision.label(
        'host_revision'))
            .outerjoin(models.Host, models.Host.name == sa.func.coalesce(
                models.Instance.host, models.NO_HOST))
            .where(models.Instance.uuid == prepared.value('uuid')))


@cell.read
def get(context: computed_context.RequestContext,
        uuid: str) -> models.Instance:
    """Return one instance, deleted or not.

    :raises computed.exception.InstanceNotFound: there is no such instance
    """
    found = context.connection.execute(
        _with_host_revision(), {'the_uuid': uuid}).one_or_none()
    if found is None:
        raise exception.InstanceNotFound(instance=uuid)
    cell.record_revision(
        context, found.host or models.NO_HOST, found.host_revision)
    return found


# Raises an error unless a host can bear its instances: given the row of its
# compute node, and what it has promised to them.
Admit: typing.TypeAlias = abc.Callable[
    [models.ComputeNode, dict[str, int]], None]


def create(context: computed_context.RequestContext,
           values: dict[str, typing.Any],
           admit: Admit | None = None) -> models.Instance:
    """Insert an instance and return its row; a repeat is harmless.

    The caller of a first call that got no answer repeats it with the same
    uuid. If that call has inserted the row, this one returns the row as it is
    now.

    :param admit: called in the transaction that has inserted it, unless the
        host has recorded no compute node; None: the host takes any instance
    :raises computed.exception.HostNotFound: ``values['host']`` is unknown
    :raises computed.exception.InstanceBusy: there is a claim on a guest with
        this uuid, which had no instance until now
    :raises computed.exception.InstanceExists: there is an instance with this
        uuid, and another order
    :raises computed.exception.InvalidName: it cannot have this name
    :raises computed.exception.InvalidValue: a value does not fit or is
        missing
    """
    names.ensure_instance(values.get('name'))
    bounds.ensure_may_write(models.Instance, values, ('deleted',))
    try:
        return _create(context, values, admit)
    except exception.RowExists:
        # None: it was purged, or lost by a restore, at this moment.
        return _inserted(context, values) or _create(context, values, admit)


# A write, so that a later read of the request sees the row on each replica.
@cell.write
def _inserted(context: computed_context.RequestContext,
              values: dict[str, typing.Any]) -> models.Instance | None:
    """Return the row that an earlier call with these values inserted."""
    row = context.connection.execute(
        _with_host_revision(), {'the_uuid': values['uuid']}).one_or_none()
    if row is None:
        return None
    other = [name for name in ORDERED
             if getattr(row, name) != values.get(name)]
    if other:
        raise exception.InstanceExists(
            uuid=row.uuid, name=row.name, differing=', '.join(other))
    cell.record_revision(
        context, row.host or models.NO_HOST, row.host_revision)
    notices.announce_noted(context, f'{row.uuid}:create', row.uuid, 'create')
    return row


@cell.write
def _create(context: computed_context.RequestContext,
            values: dict[str, typing.Any],
            admit: Admit | None) -> models.Instance:
    new = revision.bump(context, values.get('host'))
    row = {**values, 'deleted': False, 'revision': new}
    bounds.ensure_whole(models.Instance, {*row, *TIMES})
    if prepared.get(context, models.GuestClaim, values['uuid']) is not None:
        raise exception.InstanceBusy(
            instance=values['uuid'],
            task_state='a guest that had no instance is being removed')
    # A repeat ends here: its own row must not count twice.
    context.connection.execute(
        _inserting(row.get('task_state') is not None), row)
    if admit is not None and row.get('host') is not None:
        found = promised.read(context, row['host'])
        if found is not None:
            admit(*found)
    events.note(context, 'create', key=f'{row["uuid"]}:create',
                uuid=row['uuid'], name=row['name'],
                host=row.get('host'), state_after=row['vm_state'])
    return prepared.get(context, models.Instance, row['uuid'])


@functools.cache
def _inserting(in_transition: bool) -> sa.Insert:
    times = (*TIMES, 'task_state_since') if in_transition else TIMES
    return sa.insert(models.Instance).values(
        transitions.now((*times, transitions.COUNTED)))


@cell.write
def update(context: computed_context.RequestContext, uuid: str,
           host: str | None, expected_revision: int,
           values: dict[str, typing.Any]) -> models.Instance:
    """Change an instance and return its row.

    The row must still be as the caller read it, without a claim.

    :raises computed.exception.InstanceChanged: revision or host differ
    :raises computed.exception.InstanceBusy: there is a claim on it
    :raises computed.exception.InvalidName: it cannot have this name
    :raises computed.exception.InvalidValue: a value does not fit
    """
    bounds.ensure_may_write(models.Instance, values, ('uuid',))
    if 'name' in values:
        names.ensure_instance(values['name'])
    new = revision.bump(
        context, host, revision.number(expected_revision))
    same = [prepared.equals(models.Instance.uuid, uuid),
            prepared.equals(models.Instance.host, host),
            prepared.equals(models.Instance.revision, expected_revision),
            prepared.equals(models.Instance.claim_id, None)]
    changed = claimed.change(
        context, models.Instance, same, {**values, 'revision': new})
    row = prepared.get(context, models.Instance, uuid)
    if changed:
        # A revision comes again after a restore.
        events.note(context, 'update',
                    key=f'{uuid}:update:{new}:{context.request_id}',
                    uuid=uuid, name=row.name, host=host,
                    state_before=row.vm_state,
                    state_after=row.vm_state, reason=', '.join(
                        f'{name}: {value}' for name, value
                        in sorted(values.items())))
        return row
    if row is not None and row.claim_id and (
            row.revision == expected_revision):
        raise exception.InstanceBusy(
            instance=row.name, task_state=row.task_state or 'claimed')
    raise exception.InstanceChanged(uuid=uuid, revision=expected_revision)


@cell.write
def record_power_states(context: computed_context.RequestContext, host: str,
                        changes: abc.Sequence[abc.Mapping[str, typing.Any]],
                        owner: str) -> int:
    """Write power states of instances that have no task and no claim.

    Each change is guarded by the facts it rests on; a row with other facts
    is left out. There is one statement for each distinct transition.

    :param changes: ``[{'uuid', 'vm_state', 'old', 'new'}]``
    :param owner: ``service_id:boot_id`` of the run that looked at the guests
    :returns: the number of rows that were changed
    :raises computed.exception.Replaced: another run of a service is
        registered for the host
    """
    for change in changes:
        for state in (change['old'], change['new']):
            bounds.ensure_fit(models.Instance, {'power_state': state})
    uuids = [change['uuid'] for change in changes]
    new_revision = revision.bump(context, host, revision.of_rows(uuids))
    groups: dict[tuple, list[str]] = {}
    for change in changes:
        key = change['vm_state'], change['old'], change['new']
        groups.setdefault(key, []).append(change['uuid'])
    done = 0
    row, stands = models.Instance, fence.stands(owner, [host])
    for (vm_state, old, new), members in groups.items():
        for start in range(0, len(members), CHUNK):
            done += context.connection.execute(
                sa.update(row)
                .where(row.uuid.in_(members[start:start + CHUNK]),
                       row.host == host, _live(), row.vm_state == vm_state,
                       row.power_state == old, row.task_state.is_(None),
                       row.claim_id.is_(None), stands.sql)
                .values(power_state=new, revision=new_revision,
                        updated_at=dialects.utcnow()),
                stands.values).rowcount
    if not done:
        fence.explain(context, [host], owner, 'a record', freezes=False)
        cell.undo(context)
    return done
