"""Hosts on which no claim is granted."""

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'a7'
down_revision = 'a6'


def upgrade() -> None:
    steps.create_table(
        'freezes',
        sa.Column('host', sa.String(255), primary_key=True),
        sa.Column('reason', sa.Text, nullable=False),
        sa.Column('frozen_by', sa.String(255), nullable=False),
        sa.Column('frozen_at', sa.DateTime, nullable=False),
        sa.Column('freeze_id', sa.String(36), nullable=False))
