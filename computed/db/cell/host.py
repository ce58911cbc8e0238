"""Queries on hosts, their services and their compute nodes."""

import dataclasses
import typing

import sqlalchemy as sa
from oslo_db import exception as db_exc
from sqlalchemy import orm

from computed import context as computed_context
from computed import exception
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.engine import dialects
from computed.db.engine import pages


@dataclasses.dataclass(frozen=True)
class HostRow:
    """A host with its parts; a missing part is None.

    :ivar silent_for: seconds since the last heartbeat of its service, by the
        database's clock
    :ivar freeze: the freeze of all hosts, else that of this host
    """

    host: models.Host
    service: models.Service | None
    compute_node: models.ComputeNode | None
    instances: int
    silent_for: float | None
    freeze: models.Freeze | None


def _query() -> sa.Select:
    # Correlated, so that the engine counts for the chosen hosts only.
    counted = (sa.select(sa.func.count()).select_from(models.Instance)
               .where(models.Instance.host == models.Host.name,
                      models.Instance.deleted == sa.false())
               .correlate(models.Host).scalar_subquery())
    frozen, all_frozen = orm.aliased(models.Freeze), models.Freeze
    return (sa.select(models.Host, models.Service, models.ComputeNode,
                      counted, dialects.utcnow(), frozen, all_frozen)
            .outerjoin(models.Service,
                       models.Service.host == models.Host.name)
            .outerjoin(models.ComputeNode,
                       models.ComputeNode.host == models.Host.name)
            .outerjoin(frozen, frozen.host == models.Host.name)
            # The second condition is always true. Without it SQLAlchemy
            # warns of a cartesian product.
            .outerjoin(all_frozen, sa.and_(
                all_frozen.host == models.ALL_HOSTS,
                all_frozen.host != models.Host.name))
            .where(models.Host.name != models.NO_HOST))


def _row(context: computed_context.RequestContext,
         found: typing.Any) -> HostRow:
    host, service, compute_node, instances, now, frozen, all_frozen = found
    cell.record_revision(context, host.name, host.revision)
    silent_for = None
    if service is not None:
        silent_for = max((now - service.last_seen).total_seconds(), 0.0)
    return HostRow(host, service, compute_node, instances, silent_for,
                   all_frozen or frozen)


@cell.read
def get_page(context: computed_context.RequestContext, limit: int | None,
             marker: str | None) -> pages.Page:
    """Return a page of hosts, by name; see :func:`pages.read`."""
    found = pages.read(context.session, _query(), (models.Host.name,),
                       limit, marker, cell.max_page())
    return pages.Page([_row(context, row) for row in found.rows],
                      found.next_marker)


@cell.read
def get_compute_nodes_page(context: computed_context.RequestContext,
                           limit: int | None,
                           marker: str | None) -> pages.Page:
    """Return a page of compute nodes, by host; see :func:`pages.read`."""
    node = models.ComputeNode
    query = (sa.select(node, models.Host.revision)
             .join(models.Host, models.Host.name == node.host))
    found = pages.read(context.session, query, (node.host,), limit, marker,
                       cell.max_page())
    for row, revision_ in found.rows:
        cell.record_revision(context, row.host, revision_)
    return pages.Page([row for row, _ in found.rows], found.next_marker)


@cell.read
def get(context: computed_context.RequestContext, name: str) -> HostRow:
    """Return one host.

    :raises computed.exception.HostNotFound: there is no such host
    """
    found = context.session.execute(
        _query().where(models.Host.name == name)).one_or_none()
    if found is None:
        raise exception.HostNotFound(host=name)
    return _row(context, found)


# Like a heartbeat, it may be the first write on a new primary.
@cell.liveness
def register(context: computed_context.RequestContext, host: str,
             service_id: str, boot_id: str, host_boot_id: str, version: str,
             down_after: float) -> None:
    """Give a host to this service.

    :param down_after: seconds without a heartbeat after which a service may
        take the host of another
    :raises computed.exception.HostTaken: the host has another live service
    """
    session = context.session
    # The row lock stops a second service that registers at the same time.
    if session.get(models.Host, host, with_for_update=True) is None:
        _add(session, host)
    before = session.get(models.Service, host)
    now = session.scalar(sa.select(dialects.utcnow()))
    values = {'service_id': service_id, 'boot_id': boot_id,
              'host_boot_id': host_boot_id, 'version': version,
              'last_seen': dialects.utcnow(), 'digest': '{}'}
    bounds.ensure_fit(models.Service, {'host': host, **values})
    if before is None:
        session.execute(
            sa.insert(models.Service).values(host=host, **values))
        return
    age = (now - before.last_seen).total_seconds()
    if before.service_id != service_id and age < down_after:
        raise exception.HostTaken(host=host, service=before.service_id,
                                  age=age)
    session.execute(sa.update(models.Service)
                    .where(models.Service.host == host).values(**values)
                    .execution_options(synchronize_session=False))


def _add(session: orm.Session, host: str) -> None:
    try:
        session.execute(sa.insert(models.Host).values(
            name=host, revision=0, created_at=dialects.utcnow()))
    except db_exc.DBDuplicateEntry as error:
        # Another service inserted it first, and there was no row to lock.
        # After a deadlock the transaction is repeated: it then sees the row.
        raise db_exc.DBDeadlock(error) from error


@cell.liveness
def report(context: computed_context.RequestContext, host: str,
           service_id: str, boot_id: str, digest: str) -> bool:
    """Record a heartbeat of the service of a host.

    It does not raise the revision of the host.

    :returns: False if the host belongs to another service now
    """
    bounds.ensure_fit(models.Service, {'digest': digest})
    changed = context.session.execute(
        sa.update(models.Service)
        .where(models.Service.host == host,
               models.Service.service_id == service_id,
               models.Service.boot_id == boot_id)
        .values(last_seen=dialects.utcnow(), digest=digest)
        .execution_options(synchronize_session=False))
    return bool(changed.rowcount)
