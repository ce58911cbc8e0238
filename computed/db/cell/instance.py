"""Queries on the ``instances`` table, but for claims."""

import sqlalchemy as sa

from computed import exception
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.engine import dialects
from computed.db.engine import pages

# One statement names at most so many uuids.
CHUNK = 500


def _live():
    return models.Instance.deleted == sa.false()


@cell.read
def get_all_by_host(context, host):
    """Every live instance placed on ``host``, by uuid.

    The host's revision comes with the rows in one statement, so that an
    empty list still says how new it is.
    """
    query = (sa.select(models.Host.revision, models.Instance)
             .outerjoin(models.Instance, sa.and_(
                 models.Instance.host == models.Host.name, _live()))
             .where(models.Host.name == host)
             .order_by(models.Instance.uuid))
    found = context.session.execute(query).all()
    if found:
        cell.record_revision(context, host, found[0][0])
    return [row for _, row in found if row is not None]


@cell.read
def get_page(context, limit, marker, **filters):
    """Live instances, by name and then uuid; see :func:`pages.read`.

    :param filters: columns and the value each must have; None: any
    """
    row = models.Instance
    wanted = {column: value for column, value in filters.items()
              if value is not None}
    query = sa.select(row).where(_live(), *(
        getattr(row, column) == value for column, value in wanted.items()))
    # Left to itself MariaDB reads from the beginning of the list.
    for dialect in ('mysql', 'mariadb'):
        query = query.with_hint(
            row, f'FORCE INDEX ({_page_index(wanted)})', dialect)
    columns = (row.uuid,) if 'name' in wanted else (row.name, row.uuid)
    found = pages.read(context.session, query, columns, limit, marker,
                       cell.max_page(), _characters)
    return pages.Page([row for row, in found.rows], found.next_marker)


def _page_index(wanted):
    """The index in which a page's rows lie one after the other."""
    if 'host' in wanted:
        return 'instances_host_page_idx'
    if 'vm_state' in wanted and 'name' not in wanted:
        return 'instances_vm_state_page_idx'
    return 'instances_page_idx'


def _characters(found):
    """How long the texts are that a user may have made as long as a book.
    """
    return len(found[0].command) + len(found[0].fault or '')


@cell.read
def get(context, uuid):
    """One instance, deleted or not.

    :raises computed.exception.InstanceNotFound: there is none
    """
    query = (sa.select(models.Instance, models.Host.revision)
             .outerjoin(models.Host, models.Host.name == sa.func.coalesce(
                 models.Instance.host, models.NO_HOST))
             .where(models.Instance.uuid == uuid))
    found = context.session.execute(query).one_or_none()
    if found is None:
        raise exception.InstanceNotFound(instance=uuid)
    row, host_revision = found
    cell.record_revision(context, row.host or models.NO_HOST, host_revision)
    return row


@cell.write
def create(context, values):
    """Add an instance; returns its row.

    :raises computed.exception.HostNotFound: of ``values['host']``
    :raises computed.exception.InstanceBusy: a guest of this uuid is being
        acted on because it had no instance
    """
    new = revision.bump(context, values.get('host'))
    if context.session.get(models.GuestClaim, values['uuid']) is not None:
        raise exception.InstanceBusy(
            instance=values['uuid'],
            task_state='a guest that had no instance is being removed')
    row = models.Instance(
        created_at=dialects.utcnow(), updated_at=dialects.utcnow(),
        deleted=False, revision=new, **values)
    context.session.add(row)
    context.session.flush()
    context.session.refresh(row)
    return row


@cell.write
def update(context, uuid, host, expected_revision, values):
    """Change an instance that is still as it was read, and that nobody has
    claimed; returns its row.

    :raises computed.exception.InstanceChanged: revision or host differ
    :raises computed.exception.InstanceBusy: somebody works on it
    """
    new = revision.bump(context, host, sa.literal(expected_revision))
    same_host = (models.Instance.host.is_(None) if host is None
                 else models.Instance.host == host)
    changed = context.session.execute(
        sa.update(models.Instance)
        .where(models.Instance.uuid == uuid, same_host,
               models.Instance.revision == expected_revision,
               models.Instance.claim_id.is_(None))
        .values(revision=new, updated_at=dialects.utcnow(), **values)
        .execution_options(synchronize_session=False))
    row = context.session.get(models.Instance, uuid)
    if changed.rowcount:
        return row
    if row is not None and row.claim_id and (
            row.revision == expected_revision):
        raise exception.InstanceBusy(
            instance=row.name, task_state=row.task_state or 'claimed')
    raise exception.InstanceChanged(uuid=uuid, revision=expected_revision)


@cell.write
def record_power_states(context, host, changes):
    """Write power states of instances on which nobody works.

    Each change is guarded by all it was judged by; one that no longer fits
    is left out. One statement for each distinct transition.

    :param changes: ``[{'uuid', 'vm_state', 'old', 'new'}]``
    :returns: how many rows were changed
    """
    uuids = [change['uuid'] for change in changes]
    new_revision = revision.bump(context, host, revision.of_rows(uuids))
    groups = {}
    for change in changes:
        key = change['vm_state'], change['old'], change['new']
        groups.setdefault(key, []).append(change['uuid'])
    done = 0
    row = models.Instance
    for (vm_state, old, new), members in groups.items():
        for start in range(0, len(members), CHUNK):
            done += context.session.execute(
                sa.update(row)
                .where(row.uuid.in_(members[start:start + CHUNK]),
                       row.host == host, _live(), row.vm_state == vm_state,
                       row.power_state == old, row.task_state.is_(None),
                       row.claim_id.is_(None))
                .values(power_state=new, revision=new_revision,
                        updated_at=dialects.utcnow())
                .execution_options(synchronize_session=False)).rowcount
    if not done:
        cell.undo(context)
    return done
