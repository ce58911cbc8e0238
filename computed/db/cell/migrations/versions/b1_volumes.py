"""Volumes, their attachments, and what instances use of them."""

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'b1'
down_revision = 'a9'


def upgrade() -> None:
    steps.create_table(
        'volumes',
        sa.Column('uuid', sa.String(36), primary_key=True),
        sa.Column('name', sa.String(255), nullable=False),
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('path', sa.String(500), nullable=False),
        sa.Column('created_at', sa.DateTime, nullable=False))
    steps.create_index('volumes_host_idx', 'volumes', ['host', 'path'])
    steps.create_index('volumes_name_idx', 'volumes', ['name', 'uuid'])
    steps.create_table(
        'block_device_mapping',
        sa.Column('volume_id', sa.String(36), primary_key=True),
        sa.Column('attachment_id', sa.String(36), nullable=False),
        sa.Column('instance_uuid', sa.String(36), nullable=False),
        sa.Column('status', sa.String(16), nullable=False),
        sa.Column('attached_at', sa.DateTime, nullable=False))
    steps.create_index('block_device_mapping_instance_uuid_idx',
                       'block_device_mapping', ['instance_uuid'])
    counters = ('rd_req', 'rd_bytes', 'wr_req', 'wr_bytes')
    steps.create_table(
        'volume_usage',
        sa.Column('volume_id', sa.String(36), primary_key=True),
        sa.Column('instance_uuid', sa.String(36), primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False)
          for name in counters),
        *(sa.Column(f'last_{name}', sa.BigInteger, nullable=False)
          for name in counters),
        sa.Column('last_epoch', sa.String(255), nullable=False),
        sa.Column('last_refreshed', sa.BigInteger, nullable=False),
        sa.Column('base_refreshed', sa.BigInteger, nullable=False))
    steps.create_index('volume_usage_instance_uuid_idx', 'volume_usage',
                       ['instance_uuid'])
