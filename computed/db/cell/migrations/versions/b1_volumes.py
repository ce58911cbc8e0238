"""Volumes and their attachments."""

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
