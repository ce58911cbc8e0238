"""Queries on hosts, their services and their compute nodes."""

import dataclasses
import typing

import sqlalchemy as sa

from computed import exception
from computed.db import models
from computed.db import routing


@dataclasses.dataclass(frozen=True)
class HostRow:
    """A host with its parts; each part may be None.

    :ivar silent_for: seconds since its service was heard, by the
        database's clock
    """

    host: models.Host
    service: models.Service | None
    compute_node: models.ComputeNode | None
    instances: int
    silent_for: float | None


def _query():
    counted = (sa.select(models.Instance.host.label('host'),
                         sa.func.count().label('instances'))
               .where(models.Instance.deleted == sa.false())
               .group_by(models.Instance.host).subquery())
    return (sa.select(models.Host, models.Service, models.ComputeNode,
                      sa.func.coalesce(counted.c.instances, 0),
                      models.utcnow())
            .outerjoin(models.Service,
                       models.Service.host == models.Host.name)
            .outerjoin(models.ComputeNode,
                       models.ComputeNode.host == models.Host.name)
            .outerjoin(counted, counted.c.host == models.Host.name)
            .where(models.Host.name != models.NO_HOST))


def _row(context, found):
    host, service, compute_node, instances, now = found
    routing.saw(context, host.name, host.revision)
    silent_for = None
    if service is not None:
        silent_for = max((now - service.last_seen).total_seconds(), 0.0)
    return HostRow(host, service, compute_node, instances, silent_for)


@routing.read
def get_all(context):
    """Every host, by name."""
    found = context.session.execute(_query().order_by(models.Host.name))
    return [_row(context, row) for row in found]


@routing.read
def get(context, name):
    """One host.

    :raises computed.exception.HostNotFound: there is none
    """
    found = context.session.execute(
        _query().where(models.Host.name == name)).one_or_none()
    if found is None:
        raise exception.HostNotFound(host=name)
    return _row(context, found)


# As a heartbeat: it may be the first to meet a new primary.
@routing.liveness
def register(context, host, service_id, boot_id, host_boot_id, version,
             down_after):
    """Make ``host`` belong to this service, from now on.

    :param down_after: seconds of silence after which another service may
        take a host over
    :raises computed.exception.HostTaken: another live service has it
    """
    session = context.session
    # The row lock keeps two services from registering one host at once.
    if session.get(models.Host, host, with_for_update=True) is None:
        session.execute(sa.insert(models.Host).values(
            name=host, revision=0, created_at=models.utcnow()))
    before = session.get(models.Service, host)
    now = session.scalar(sa.select(models.utcnow()))
    values = {'service_id': service_id, 'boot_id': boot_id,
              'host_boot_id': host_boot_id, 'version': version,
              'last_seen': models.utcnow(), 'digest': '{}'}
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


@routing.liveness
def report(context, host, service_id, boot_id, digest):
    """Note that the service of ``host`` lives. Bumps no revision.

    :returns: False if the host belongs to another service now
    """
    changed = context.session.execute(
        sa.update(models.Service)
        .where(models.Service.host == host,
               models.Service.service_id == service_id,
               models.Service.boot_id == boot_id)
        .values(last_seen=models.utcnow(), digest=digest)
        .execution_options(synchronize_session=False))
    return bool(changed.rowcount)


def columns(row, fields: typing.Iterable[str]):
    """``{name: value}`` of the named columns of ``row``."""
    return {name: getattr(row, name) for name in fields}
