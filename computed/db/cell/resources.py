"""Queries on compute nodes: what hosts have, and what of it is promised."""

import dataclasses

import sqlalchemy as sa
from sqlalchemy import orm

from computed import exception
from computed import states
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.engine import dialects

CLASSES = ('vcpus', 'memory_mb', 'disk_gb')
# Changes of these make it another node, on which decisions may rest.
IDENTITY = ('service_id', 'hypervisor_type')


@dataclasses.dataclass(frozen=True)
class Usage:
    """What is promised of a host, and what was last recorded of it.

    :ivar used: ``{class: sum}`` over the instances assigned to the host
    :ivar claimed: ``{class: sum}`` of those that are still being built
    :ivar compute_node: the recorded row, or None
    :ivar node_age: seconds since it was written, by the database's clock
    :ivar former: another host whose compute node has the same identity and
        no instances, or None
    """

    used: dict
    claimed: dict
    compute_node: models.ComputeNode | None
    node_age: float | None
    former: str | None


def _assigned(host):
    """A condition: the instance takes up room on ``host``.

    Whether it runs does not matter. What was offloaded is there no more,
    unless it is about to come back.
    """
    row = models.Instance
    return sa.and_(
        row.host == host, row.deleted == sa.false(),
        sa.or_(row.vm_state != states.SHELVED_OFFLOADED,
               row.task_state == states.SPAWNING))


def _sums(host):
    row = models.Instance
    building = sa.or_(row.vm_state == states.BUILDING,
                      row.task_state == states.SPAWNING)
    columns = []
    for name in CLASSES:
        amount = getattr(row, name)
        claimed = sa.case((building, amount), else_=0)
        columns += [
            sa.func.coalesce(sa.func.sum(amount), 0).label(f'{name}_used'),
            sa.func.coalesce(sa.func.sum(claimed), 0).label(
                f'{name}_claimed')]
    return sa.select(sa.literal(host).label('of_host'), *columns).where(
        _assigned(host)).subquery()


def _live_instances(host):
    return sa.select(models.Instance.uuid).where(
        models.Instance.host == host,
        models.Instance.deleted == sa.false()).exists()


def _former(host, service_id):
    node = orm.aliased(models.ComputeNode)
    return (sa.select(sa.func.min(node.host))
            .where(node.service_id == service_id, node.host != host,
                   ~_live_instances(node.host))
            .scalar_subquery())


@cell.read
def get_usage(context, host, service_id):
    """All that the record of a host is made from, in one statement.

    :param service_id: the identity of the service that asks
    :rtype: Usage
    :raises computed.exception.HostNotFound: no such host
    """
    sums = _sums(host)
    found = context.session.execute(
        sa.select(models.Host.revision, models.ComputeNode,
                  dialects.utcnow().label('now'),
                  _former(host, service_id).label('former'), *sums.c)
        .select_from(models.Host)
        .outerjoin(models.ComputeNode,
                   models.ComputeNode.host == models.Host.name)
        .join(sums, sums.c.of_host == models.Host.name)
        .where(models.Host.name == host)).one_or_none()
    if found is None:
        raise exception.HostNotFound(host=host)
    cell.record_revision(context, host, found.revision)
    node = found.ComputeNode
    return Usage(
        # MariaDB adds integers up to a decimal number.
        used={name: int(getattr(found, f'{name}_used')) for name in CLASSES},
        claimed={name: int(getattr(found, f'{name}_claimed'))
                 for name in CLASSES},
        compute_node=node,
        node_age=node and max(
            (found.now - node.updated_at).total_seconds(), 0.0),
        former=found.former)


@cell.write
def record(context, host, values, generation=None):
    """Write what is known of a host, if it differs.

    Only another identity bumps the revision of the host: figures are no
    row that decisions rest on.

    :param values: ``{column: value}`` of the compute node
    :param generation: of the row that they were compared with; None writes
        over any
    :returns: whether anything was written
    """
    row = models.ComputeNode
    found = context.session.get(row, host)
    if found is None:
        context.session.execute(sa.insert(row).values(
            host=host, updated_at=dialects.utcnow(), generation=1,
            revision=revision.bump(context, host), **values))
        return True
    changed = {name for name, value in values.items()
               if getattr(found, name) != value}
    if not changed or generation not in (None, found.generation):
        return False
    if changed.intersection(IDENTITY):
        values = {**values, 'revision': revision.bump(
            context, host, sa.literal(found.revision))}
    done = context.session.execute(
        sa.update(row)
        .where(row.host == host, row.generation == found.generation)
        .values(updated_at=dialects.utcnow(), generation=row.generation + 1,
                **values)
        .execution_options(synchronize_session=False)).rowcount
    if not done:
        cell.undo(context)
    return bool(done)


@cell.write
def delete_former(context, host, former, service_id, down_after):
    """Delete the compute node that ``host`` had under its former name.

    Not while the former name has instances, nor while a service of that
    name is heard of: then the identity was copied, not moved.

    :param down_after: seconds of silence after which a service is gone
    :returns: whether it was deleted
    """
    # First: no instance can be placed there from now on.
    revision.bump(context, former)
    row, service = models.ComputeNode, models.Service
    silent = True
    if (last_seen := context.session.scalar(
            sa.select(service.last_seen)
            .where(service.host == former))) is not None:
        now = context.session.scalar(sa.select(dialects.utcnow()))
        silent = (now - last_seen).total_seconds() >= down_after
    deleted = silent and former != host and context.session.execute(
        sa.delete(row)
        .where(row.host == former, row.service_id == service_id,
               ~_live_instances(former))
        .execution_options(synchronize_session=False)).rowcount
    if not deleted:
        cell.undo(context)
    return bool(deleted)
