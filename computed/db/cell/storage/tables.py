"""The tables of volumes and of usage.

The others are in :mod:`computed.db.cell.models`.
"""

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


class VolumeUsage(models.Base):
    """What an instance has read and written of a volume, ever.

    See :mod:`computed.usage.volumes`.
    """

    __tablename__ = 'volume_usage'
    __table_args__ = (
        sa.Index('volume_usage_instance_uuid_idx', 'instance_uuid'),
        models.Base.__table_args__,
    )

    volume_id: orm.Mapped[str] = orm.mapped_column(
        sa.String(36), primary_key=True)
    instance_uuid: orm.Mapped[str] = orm.mapped_column(
        sa.String(36), primary_key=True)
    rd_req: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    rd_bytes: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    wr_req: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    wr_bytes: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    last_rd_req: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    last_rd_bytes: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    last_wr_req: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    last_wr_bytes: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    last_epoch: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    last_refreshed: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    # The last_refreshed of the row that this one was computed from.
    base_refreshed: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)


class BandwidthUsage(models.Base):
    """The traffic of one interface in one period, in bytes.

    See :mod:`computed.usage.counters`.
    """

    __tablename__ = 'bandwidth_usage'

    uuid: orm.Mapped[str] = orm.mapped_column(sa.String(36), primary_key=True)
    mac_address: orm.Mapped[str] = orm.mapped_column(
        sa.String(32), primary_key=True)
    start_period: orm.Mapped[datetime.datetime] = orm.mapped_column(
        sa.DateTime, primary_key=True)
    bw_in: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    bw_out: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    last_ctr_in: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    last_ctr_out: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    last_epoch: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    last_refreshed: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)


class UsageAudit(models.Base):
    """How far the audit of one host and one period has come.

    See :mod:`computed.db.cell.audits`.
    """

    __tablename__ = 'usage_audits'

    host: orm.Mapped[str] = orm.mapped_column(sa.String(255), primary_key=True)
    period_beginning: orm.Mapped[datetime.datetime] = orm.mapped_column(
        sa.DateTime, primary_key=True)
    period_ending: orm.Mapped[datetime.datetime] = orm.mapped_column(
        sa.DateTime, primary_key=True)
    # running, done or failed
    state: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    # The number of writes. A write is guarded by the number that it read.
    writes: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    # 1: all instances are reported; from 2: those of unreported once more.
    attempt: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    # In this attempt all up to this uuid were reported, or refused.
    marker: orm.Mapped[str] = orm.mapped_column(sa.String(36))
    reported: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    # The uuids of those that were refused, with spaces between them.
    unreported: orm.Mapped[str] = orm.mapped_column(sa.Text)
    began_at: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime)
    ended_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(
        sa.DateTime)
