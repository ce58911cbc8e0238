"""Queries on what instances have read and written of volumes."""

import datetime
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.cell.history import notices
from computed.db.cell.storage import tables
from computed.db.engine import pages
from computed.db.engine import upsert

_MAPPING, _USAGE = tables.BlockDeviceMapping, tables.VolumeUsage
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
# The columns of the key come from the attachment, which is always there.
_RECORDED = [column for column in _USAGE.__table__.columns
             if not column.primary_key]


def _attached() -> sa.Select:
    """Return a query of attachments with what is recorded of each."""
    return sa.select(
        _MAPPING.volume_id, _MAPPING.instance_uuid, *_RECORDED,
    ).outerjoin(_USAGE, sa.and_(
        _USAGE.volume_id == _MAPPING.volume_id,
        _USAGE.instance_uuid == _MAPPING.instance_uuid))


@cell.read
def get_by_host(context: computed_context.RequestContext,
                host: str) -> list[typing.Any]:
    """Return all attachments to live instances of a host.

    It is one statement. A column of the usage is None if nothing is recorded.
    """
    row = models.Instance
    return list(context.connection.execute(
        _attached().join(row, row.uuid == _MAPPING.instance_uuid)
        .where(row.host == host, row.deleted == sa.false())
        .order_by(_MAPPING.instance_uuid, _MAPPING.volume_id)))


@cell.read
def get_by_instance(context: computed_context.RequestContext,
                    uuid: str) -> list[typing.Any]:
    """Return the attachments to an instance, as :func:`get_by_host`."""
    return list(context.connection.execute(
        _attached().where(_MAPPING.instance_uuid == uuid)))


@cell.read
def get_recorded(context: computed_context.RequestContext, uuid: str,
                 limit: int) -> abc.Sequence[typing.Any]:
    """Return what is recorded of an instance, also of detached volumes.

    :param limit: the most rows to return, within ``[conductor] max_page``
    :raises computed.exception.InvalidLimit: it is below 1
    """
    return context.connection.execute(
        sa.select(_USAGE).where(_USAGE.instance_uuid == uuid)
        .order_by(_USAGE.last_refreshed.desc(), _USAGE.volume_id)
        .limit(pages.length(limit, cell.max_page()))).all()


@cell.write
def record(context: computed_context.RequestContext,
           rows: abc.Iterable[abc.Mapping[str, typing.Any]]) -> None:
    """Write rows in one statement.

    A row that is there is only replaced by one that was computed from it. So
    what two writers have read at the same time is counted once, and a row
    from a lagging replica changes nothing.

    :param rows: ``[{column: value}]``, with all columns
    :raises computed.exception.InvalidValue: a value does not fit
    """
    found: dict[tuple, dict[str, typing.Any]] = {}
    for one in rows:
        bounds.ensure_fit(_USAGE, one)
        # PostgreSQL refuses a statement that has a row twice.
        found[one['volume_id'], one['instance_uuid']] = {**one}
    if found:
        context.connection.execute(upsert.newer(
            context.connection.dialect.name, _USAGE.__table__,
            [*found.values()], 'last_refreshed', base='base_refreshed'))
        if cell.announce is not None:
            _announce(context, found)


def _announce(context: computed_context.RequestContext,
              found: abc.Mapping[tuple, abc.Mapping[str, typing.Any]]
              ) -> None:
    """Tell of the rows that are there now, when they are committed.

    Of what was refused nothing is told. What an earlier call wrote, whose
    commit got no answer, is told once more.
    """
    for row in context.connection.execute(sa.select(_USAGE).where(
            _USAGE.volume_id.in_(sorted({key[0] for key in found})))):
        mine = found.get((row.volume_id, row.instance_uuid))
        if mine and mine['last_refreshed'] == row.last_refreshed:
            notices.tell(context, notices.Fact(
                'volume.usage', f'{row.volume_id}:{row.instance_uuid}:'
                f'{row.last_refreshed}', {
                    'volume_id': row.volume_id,
                    'instance_uuid': row.instance_uuid,
                    'reads': row.rd_req, 'read_bytes': row.rd_bytes,
                    'writes': row.wr_req, 'write_bytes': row.wr_bytes,
                    'last_refreshed': _EPOCH + datetime.timedelta(
                        microseconds=row.last_refreshed)}))
