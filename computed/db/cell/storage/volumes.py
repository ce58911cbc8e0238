"""Queries on volumes: files and block devices that instances can use.

A volume is of one host. Each change of a volume or of an attachment raises
the revision of this host first, which locks its row. So of two changes that
exclude each other one comes after the other.
"""

import typing

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import bounds
from computed.db.cell import revision
from computed.db.cell.database import cell
from computed.db.cell.storage import tables
from computed.db.engine import dialects
from computed.db.engine import pages

_VOLUME, _MAPPING = tables.Volume, tables.BlockDeviceMapping


def with_attachments() -> sa.Select:
    """Return a query of volumes with the columns of their attachments."""
    return sa.select(
        _VOLUME, _MAPPING.attachment_id, _MAPPING.instance_uuid,
        _MAPPING.status, _MAPPING.attached_at,
    ).outerjoin(_MAPPING, _MAPPING.volume_id == _VOLUME.uuid)


def find(context: computed_context.RequestContext,
         uuid: str) -> typing.Any:
    """Return a volume with its attachment, inside a transaction.

    :raises computed.exception.VolumeNotFound: there is no such volume
    """
    found = context.connection.execute(
        with_attachments().where(_VOLUME.uuid == uuid)).one_or_none()
    if found is None:
        raise exception.VolumeNotFound(volume=uuid)
    return found


@cell.read
def get(context: computed_context.RequestContext, uuid: str) -> typing.Any:
    """Return a volume with its attachment.

    :raises computed.exception.VolumeNotFound: there is no such volume
    """
    return find(context, uuid)


@cell.read
def get_page(context: computed_context.RequestContext, limit: int | None,
             marker: str | None, **filters: str | None) -> pages.Page:
    """Return a page of volumes with their attachments, by name and uuid.

    :param filters: the value that a column must have; None: any value
    """
    query = with_attachments().where(*(
        getattr(_VOLUME, column) == value
        for column, value in filters.items() if value is not None))
    return pages.read(context.connection, query,
                      (_VOLUME.name, _VOLUME.uuid), limit, marker,
                      cell.max_page())


@cell.read
def get_by_instance(context: computed_context.RequestContext,
                    uuid: str) -> list[typing.Any]:
    """Return the volumes that are attached to an instance, by uuid."""
    return list(context.connection.execute(
        with_attachments().where(_MAPPING.instance_uuid == uuid)
        .order_by(_VOLUME.uuid)))


def create(context: computed_context.RequestContext,
           values: dict[str, typing.Any]) -> typing.Any:
    """Insert a volume and return it; a repeat with the same uuid is harmless.

    :param values: ``uuid``, ``name``, ``host`` and ``path``
    :raises computed.exception.HostNotFound: there is no such host
    :raises computed.exception.InvalidValue: a value does not fit
    :raises computed.exception.VolumeExists: the path is another volume
    :raises computed.exception.VolumeUnusable: the path is not the only name
        of a thing
    """
    bounds.ensure_may_write(_VOLUME, values)
    bounds.ensure_whole(_VOLUME, {*values, 'created_at'})
    ensure_path(values['path'])
    return _create(context, values)


def ensure_path(path: str) -> None:
    """Refuse a path that a host need not look at to refuse it.

    :raises computed.exception.VolumeUnusable: it is relative, for example
    """
    if not path.startswith('/') or not path.isprintable():
        raise exception.VolumeUnusable(
            path=path, problem='it is not an absolute path of characters '
            'that can be printed')
    if any(part in ('', '.', '..') for part in path[1:].split('/')):
        raise exception.VolumeUnusable(
            path=path, problem='give it without "//", "." and ".."')


@cell.write
def _create(context: computed_context.RequestContext,
            values: dict[str, typing.Any]) -> typing.Any:
    revision.bump(context, values['host'])
    found = context.connection.execute(sa.select(_VOLUME).where(sa.or_(
        _VOLUME.uuid == values['uuid'], sa.and_(
            _VOLUME.host == values['host'],
            _VOLUME.path == values['path'])))).first()
    if found is None:
        context.connection.execute(sa.insert(_VOLUME).values(
            created_at=dialects.utcnow(), **values))
    elif any(getattr(found, name) != value
             for name, value in values.items()):
        raise exception.VolumeExists(
            path=found.path, host=found.host, volume=found.uuid)
    return find(context, values['uuid'])


@cell.write
def delete(context: computed_context.RequestContext, uuid: str,
           host: str) -> None:
    """Forget a volume. Its file or device stays as it is.

    :param host: of the volume
    :raises computed.exception.VolumeInUse: it is attached
    :raises computed.exception.VolumeNotFound: there is no such volume
    """
    revision.bump(context, host)
    found = find(context, uuid)
    if found.instance_uuid is not None:
        raise exception.VolumeInUse(volume=found.name,
                                    instance=found.instance_uuid)
    context.connection.execute(sa.delete(_VOLUME).where(
        _VOLUME.uuid == uuid, _VOLUME.host == host))
