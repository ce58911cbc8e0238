"""Queries on hosts, their services and their compute nodes."""

import dataclasses
import functools
import types
import typing

import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed import context as computed_context
from computed import exception
from computed import names
from computed.db import witness
from computed.db.cell import bounds
from computed.db.cell import cell_clock
from computed.db.cell import database
from computed.db.cell import models
from computed.db.cell import promised
from computed.db.cell import revision
from computed.db.cell import succession
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.engine import dialects
from computed.db.engine import pages
from computed.db.engine import prepared


@dataclasses.dataclass(frozen=True)
class HostRow:
    """A host with its parts; a missing part is None.

    :ivar silent_for: seconds since the last heartbeat of its service, by the
        clock of the cell
    :ivar freeze: the freeze of all hosts, else that of this host
    :ivar promised: as :func:`promised.figures`; None: not asked for
    """

    host: models.Host
    service: models.Service | None
    compute_node: models.ComputeNode | None
    instances: int
    silent_for: float | None
    freeze: models.Freeze | None
    promised: dict[str, int] | None = None


_frozen = prepared.alias(models.Freeze, 'freeze_of_host')
# The tables that have a part in each row of :func:`_query`.
PARTS = (models.Host, models.Service, models.ComputeNode, _frozen,
         models.Freeze)


@functools.cache
def _query() -> sa.Select:
    # Correlated, so that the engine counts for the chosen hosts only.
    counted = (sa.select(sa.func.count()).select_from(models.Instance)
               .where(models.Instance.host == models.Host.name,
                      models.Instance.deleted == sa.false())
               .correlate(models.Host).scalar_subquery())
    all_frozen = models.Freeze
    return (sa.select(*PARTS, counted.label('instances'),
                      cell_clock.seconds().label('now'))
            .outerjoin(models.Service,
                       models.Service.host == models.Host.name)
            .outerjoin(models.ComputeNode,
                       models.ComputeNode.host == models.Host.name)
            .outerjoin(_frozen, _frozen.c.host == models.Host.name)
            # The second condition is always true. Without it SQLAlchemy
            # warns of a cartesian product.
            .outerjoin(all_frozen, sa.and_(
                all_frozen.host == models.ALL_HOSTS,
                all_frozen.host != models.Host.name))
            .where(models.Host.name != models.NO_HOST))


def _part(found: sa.Row, table: typing.Any) -> typing.Any:
    """Return the part of a row that is of one table; None: it has no row."""
    columns = sa.inspect(table).selectable.c
    # The columns of several tables have the same name.
    values = {column.key: found._mapping[column] for column in columns}
    key = columns[0].key
    return None if values[key] is None else types.SimpleNamespace(**values)


def _row(context: computed_context.RequestContext, found: sa.Row) -> HostRow:
    host, service, compute_node, frozen, all_frozen = (
        _part(found, table) for table in PARTS)
    cell.record_revision(context, host.name, host.revision)
    silent_for = None
    if service is not None:
        silent_for = float(max(found.now - _known(service.heard_at), 0))
    return HostRow(host, service, compute_node, found.instances, silent_for,
                   all_frozen or frozen)


@cell.read
def get_page(context: computed_context.RequestContext, limit: int | None,
             marker: str | None) -> pages.Page:
    """Return a page of hosts, by name; see :func:`pages.read`."""
    found = pages.read(context.connection, _query(), (models.Host.name,),
                       limit, marker, cell.max_page(), len(PARTS))
    return pages.Page([_row(context, row) for row in found.rows],
                      found.next_marker)


@cell.read
def get_compute_nodes_page(context: computed_context.RequestContext,
                           limit: int | None,
                           marker: str | None) -> pages.Page:
    """Return a page of compute nodes, by host; see :func:`pages.read`."""
    node = models.ComputeNode
    query = (sa.select(node, models.Host.revision.label('host_revision'))
             .join(models.Host, models.Host.name == node.host))
    found = pages.read(context.connection, query, (node.host,), limit, marker,
                       cell.max_page())
    for row in found.rows:
        cell.record_revision(context, row.host, row.host_revision)
    return found


@functools.cache
def _query_of_one() -> sa.Select:
    sums = promised.sums()
    return (_query().add_columns(*sums.c)
            .join(sums, sums.c.of_host == models.Host.name)
            .where(models.Host.name == prepared.value('host')))


@cell.read
def get(context: computed_context.RequestContext, name: str) -> HostRow:
    """Return one host, with what it has promised as of now.

    :raises computed.exception.HostNotFound: there is no such host
    """
    found = context.connection.execute(
        _query_of_one(), {'the_host': name}).one_or_none()
    if found is None:
        raise exception.HostNotFound(host=name)
    return dataclasses.replace(
        _row(context, found), promised=promised.figures(found))


def register(context: computed_context.RequestContext, host: str,
             life: succession.Life, version: str,
             seen: witness.Seen | None = None,
             database_id: str | None = None) -> None:
    """Give a host to a run of a service.

    :param database_id: the database that the guests of the host belong to;
        None: it is not known yet
    :param seen: what the host has seen of the database; see
        :func:`cell_clock.ensure_forward`
    :raises computed.exception.HostNotSilent: the host has another service,
        which may be alive
    :raises computed.exception.InvalidName: no host can have this name
    :raises computed.exception.WrongDatabase: this is another database
    """
    names.ensure_host(host)
    cell_clock.hearing.note()
    cell_clock.tell(_register(context, host, life, version, _believed(seen),
                              database_id))


def _believed(seen: witness.Seen | None) -> witness.Seen:
    """Return what a host has seen, unless a host was believed lately."""
    return (witness.sound(seen) if cell.router.incarnation.may_begin()
            else {})


# Like a heartbeat, it may be the first write on a new primary.
@cell.liveness
def _register(context: computed_context.RequestContext, host: str,
              life: succession.Life, version: str,
              seen: witness.Seen,
              database_id: str | None) -> cell_clock.Loss | None:
    if database_id is not None:
        database.ensure_here(context, database_id)
    loss = cell_clock.ensure_forward(context, seen)
    # The row lock stops a second service that registers at the same time.
    if prepared.get(context, models.Host, host, lock=True) is None:
        _add(context, host)
    former = prepared.get(context, models.Service, host, lock=True)
    values = {**dataclasses.asdict(life), 'version': version, 'digest': '{}'}
    bounds.ensure_fit(models.Service, {'host': host, **values})
    if former is None:
        context.connection.execute(sa.insert(models.Service).values(
            host=host, **values, **{**_heard(), 'heartbeat': 1}))
        _note(context, host, life)
        return loss
    if (former.service_id, former.boot_id) != (
            life.service_id, life.boot_id):
        _ensure_over(former, life, cell_clock.read(context))
        # Every claim raises it too. So also on Galera, where locks hold on
        # one node only, no claim of the former is granted from now on.
        revision.bump(context, host)
    if former.service_id != life.service_id:
        _note(context, host, life)
    context.connection.execute(_renewing(), {'the_host': host, **values})
    return loss


def _note(context: computed_context.RequestContext, host: str,
          life: succession.Life) -> None:
    """Note that a host has another service; a restart is none."""
    events.note(context, 'register', host=host,
                reason=f'service {life.service_id}')


@functools.cache
def _renewing() -> sa.Update:
    return (sa.update(models.Service)
            .where(models.Service.host == prepared.value('host'))
            .values(**_heard()))


def _heard() -> dict[str, typing.Any]:
    """Return the columns that say that a service was heard now."""
    return {'last_seen': dialects.utcnow(),
            'heartbeat': models.Service.heartbeat + 1,
            'heard_at': cell_clock.seconds(),
            'heard_listened': cell_clock.listened()}


def _ensure_over(former: models.Service, life: succession.Life,
                 now: cell_clock.Reading) -> None:
    """Refuse ``life`` while the former run may be alive."""
    before = succession.Life(**{
        field.name: getattr(former, field.name)
        for field in dataclasses.fields(succession.Life)})
    left = 0.0
    if not succession.follows(life, before):
        left = succession.left(_silence(former, now), cell.down_after())
    if left:
        raise exception.HostNotSilent(
            host=former.host, service=before.service_id,
            age=max(0, now.seconds - _known(former.heard_at)), left=left,
            sign=f'{before.boot_id}:{former.heartbeat}')


def _silence(service: models.Service, now: cell_clock.Reading) -> float:
    """Return for how many seconds a service surely was silent.

    Its last heartbeat may have come at the very end of a second.
    """
    return max(now.hear().listened - _known(service.heard_listened) - 1,
               0)


def heard(context: computed_context.RequestContext, host: str,
          down_after: float | None = None) -> float | None:
    """Return how many seconds ago a service was heard that may be alive.

    Call it in a transaction that has locked the row of the host. It locks the
    service too, so none is heard before the end of the transaction.

    :param down_after: seconds of silence after which it is not; None: as for
        operators
    :returns: None: the host has no service that may be alive
    """
    if down_after is None:
        down_after = cell.silent_after()
    service = prepared.get(context, models.Service, host, lock=True)
    if service is None:
        return None
    now = cell_clock.read(context)
    if not succession.left(_silence(service, now), down_after):
        return None
    return float(max(now.seconds - _known(service.heard_at), 0))


def _known(value: typing.Any) -> int:
    """Return a number of a service; 0 if it is damaged, so not recent."""
    return value if isinstance(value, int) else 0


def _add(context: computed_context.RequestContext, host: str) -> None:
    try:
        context.connection.execute(sa.insert(models.Host).values(
            name=host, revision=revision.first(context),
            created_at=dialects.utcnow()))
    except db_exc.DBDuplicateEntry as error:
        # Another service inserted it first, and there was no row to lock.
        # After a deadlock the transaction is repeated: it then sees the row.
        raise db_exc.DBDeadlock(error) from error


def report(context: computed_context.RequestContext, host: str,
           service_id: str, boot_id: str, digest: str,
           seen: witness.Seen | None = None) -> bool:
    """Record a heartbeat of the service of a host.

    It does not raise the revision of the host.

    :param seen: as for :func:`register`
    :returns: False if the host belongs to another run of a service now
    """
    bounds.ensure_fit(models.Service, {'digest': digest})
    cell_clock.hearing.note()
    ours, loss = _report(
        context, {'the_host': host, 'the_service_id': service_id,
                  'the_boot_id': boot_id, 'digest': digest}, _believed(seen))
    cell_clock.tell(loss)
    return ours


@cell.liveness
def _report(context: computed_context.RequestContext,
            values: prepared.Values, seen: witness.Seen
            ) -> tuple[bool, cell_clock.Loss | None]:
    def reported(*conditions: prepared.Part) -> bool:
        return bool(context.connection.execute(
            _reporting(*prepared.texts(conditions)),
            {**values, **prepared.values(conditions)}).rowcount)
    if not seen:
        return reported(), None
    if reported(cell_clock.not_behind(seen)):
        return True, None
    loss = cell_clock.ensure_forward(context, seen)
    return reported(), loss


@functools.cache
def _reporting(*conditions: typing.Any) -> sa.Update:
    row = models.Service
    return (sa.update(row)
            .where(row.host == prepared.value('host'),
                   row.service_id == prepared.value('service_id'),
                   row.boot_id == prepared.value('boot_id'), *conditions)
            .values(**_heard()))
