"""Queries on compute nodes: what hosts have, and how much is promised."""

import dataclasses
import datetime
import functools
import typing

import sqlalchemy as sa
from oslo_db import exception as db_exc
from sqlalchemy import orm

from computed import context as computed_context
from computed import exception
from computed.db.cell import bounds
from computed.db.cell import host as host_db
from computed.db.cell import models
from computed.db.cell import promised
from computed.db.cell import retired
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.engine import dialects
from computed.db.engine import prepared

# A change of one of these columns makes another node. Decisions rest on them.
IDENTITY = ('service_id', 'hypervisor_type')


@dataclasses.dataclass(frozen=True)
class Usage:
    """How much of a host is promised, and its last record.

    :ivar figures: see :func:`promised.figures`
    :ivar compute_node: the recorded row, or None
    :ivar node_age: seconds since that row was written, by the database's
        clock; None: there is no row, or its time is damaged
    :ivar now: the time by the database's clock, without fractions
    :ivar guests_left: whether the host has guests of instances that were
        deleted without it; see :mod:`computed.db.cell.retired`
    :ivar former: another host whose compute node has the same service and
        which has no instances, or None
    """

    figures: dict[str, int]
    compute_node: models.ComputeNode | None
    node_age: float | None
    now: datetime.datetime
    guests_left: bool
    former: str | None


def _live_instances(host: typing.Any) -> sa.Exists:
    return sa.select(models.Instance.uuid).where(
        models.Instance.host == host,
        models.Instance.deleted == sa.false()).exists()


def _former() -> sa.ScalarSelect:
    node = orm.aliased(models.ComputeNode)
    return (sa.select(sa.func.min(node.host))
            .where(node.service_id == prepared.value('service_id'),
                   node.host != prepared.value('host'),
                   ~_live_instances(node.host))
            .scalar_subquery())


@functools.cache
def _usage() -> sa.Select:
    sums, host = promised.sums(), prepared.value('host')
    return (sa.select(models.Host.revision.label('host_revision'),
                      models.ComputeNode, dialects.utcnow().label('now'),
                      sa.exists().where(*retired.left_by(host))
                      .label('guests_left'),
                      _former().label('former'), *sums.c)
            .select_from(models.Host)
            .outerjoin(models.ComputeNode,
                       models.ComputeNode.host == models.Host.name)
            .join(sums, sums.c.of_host == models.Host.name)
            .where(models.Host.name == host))


@cell.read
def get_usage(context: computed_context.RequestContext, host: str,
              service_id: str) -> Usage:
    """Read all data for the record of a host, in one statement.

    The revision of the host covers its instances only. A record that was
    compared with an old row is refused by its generation, and
    :func:`delete_former` checks everything again.

    :param service_id: the identity of the service of the host
    :raises computed.exception.HostNotFound: there is no such host
    """
    found = context.connection.execute(_usage(), {
        'the_host': host, 'the_service_id': service_id}).one_or_none()
    if found is None:
        raise exception.HostNotFound(host=host)
    cell.record_revision(context, host, found.host_revision)
    node, age = (None if found.host is None else found), None
    # Without an age the host writes the record, which mends a damaged one.
    if node and isinstance(node.updated_at, datetime.datetime):
        age = max((found.now - node.updated_at).total_seconds(), 0.0)
    return Usage(
        figures=promised.figures(found), compute_node=node,
        node_age=age, now=found.now,
        guests_left=bool(found.guests_left), former=found.former)


def _insert(context: computed_context.RequestContext, host: str,
            values: dict[str, typing.Any]) -> None:
    row = {**values, 'host': host, 'updated_at': dialects.utcnow(),
           'generation': 1, 'revision': revision.bump(context, host)}
    bounds.ensure_whole(models.ComputeNode, row)
    try:
        context.connection.execute(sa.insert(models.ComputeNode).values(**row))
    except db_exc.DBDuplicateEntry as error:
        # The same call is under way a second time, and was faster. After a
        # deadlock the transaction is repeated: it then sees the row.
        raise db_exc.DBDeadlock(error) from error


@cell.write
def record(context: computed_context.RequestContext, host: str,
           values: dict[str, typing.Any],
           generation: int | None = None) -> bool:
    """Write the compute node of a host if it differs from the row.

    Only a change of the identity raises the revision of the host: no
    decision rests on the figures.

    :param values: ``{column: value}`` of the compute node
    :param generation: of the row that the caller compared them with; a row
        of another generation is not overwritten. None: any row is.
    :returns: whether anything was written
    :raises computed.exception.InvalidValue: a value does not fit, or the host
        has no row yet and one is missing
    """
    row = models.ComputeNode
    bounds.ensure_may_write(row, values, ('host',))
    found = prepared.get(context, row, host)
    if found is None:
        _insert(context, host, values)
        return True
    changed = {name for name, value in values.items()
               if getattr(found, name) != value}
    if not changed or generation not in (None, found.generation):
        return False
    if changed.intersection(IDENTITY):
        values = {**values, 'revision': revision.bump(
            context, host, revision.number(found.revision))}
    done = context.connection.execute(_recording(), {
        'the_host': host, 'the_generation': found.generation,
        **values}).rowcount
    if not done:
        cell.undo(context)
    return bool(done)


@functools.cache
def _recording() -> sa.Update:
    row = models.ComputeNode
    return (sa.update(row)
            .where(row.host == prepared.value('host'),
                   row.generation == prepared.value('generation'))
            .values(updated_at=dialects.utcnow(),
                    generation=row.generation + 1))


@cell.write
def delete_former(context: computed_context.RequestContext, host: str,
                  former: str, service_id: str) -> bool:
    """Delete the compute node that ``host`` had under its former name.

    It is kept while the former host has instances. It is also kept while a
    service with that name sends heartbeats: then the identity was copied to
    another machine, not moved.

    :returns: whether it was deleted
    """
    # This comes first: after it no instance can be placed there.
    revision.bump(context, former)
    row = models.ComputeNode
    silent = host_db.heard(context, former, cell.down_after()) is None
    deleted = silent and former != host and context.connection.execute(
        sa.delete(row)
        .where(row.host == former, row.service_id == service_id,
               ~_live_instances(former))).rowcount
    if not deleted:
        cell.undo(context)
    return bool(deleted)
