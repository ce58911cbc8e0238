"""The tables of volumes; the others are in :mod:`computed.db.cell.models`."""

import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from computed.db.cell import models


class Volume(models.Base):
    """A file or a block device of a host that instances can use.

    See :mod:`computed.db.cell.storage.volumes`.
    """

    __tablename__ = 'volumes'
    __table_args__ = (
        sa.Index('volumes_host_idx', 'host', 'path'),
        sa.Index('volumes_name_idx', 'name', 'uuid'),
        models.Base.__table_args__,
    )

    uuid: orm.Mapped[str] = orm.mapped_column(sa.String(36), primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    host: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    path: orm.Mapped[str] = orm.mapped_column(sa.String(500))
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)


class BlockDeviceMapping(models.Base):
    """The attachment of a volume to an instance; a volume has one at most.

    See :mod:`computed.db.cell.storage.attachments`.
    """

    __tablename__ = 'block_device_mapping'
    __table_args__ = (
        sa.Index('block_device_mapping_instance_uuid_idx', 'instance_uuid'),
        models.Base.__table_args__,
    )

    # The primary key makes two attachments of one volume impossible.
    volume_id: orm.Mapped[str] = orm.mapped_column(
        sa.String(36), primary_key=True)
    attachment_id: orm.Mapped[str] = orm.mapped_column(sa.String(36))
    instance_uuid: orm.Mapped[str] = orm.mapped_column(sa.String(36))
    # attaching, attached or detaching
    status: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    attached_at: orm.Mapped[datetime.datetime] = orm.mapped_column(
        sa.DateTime)
