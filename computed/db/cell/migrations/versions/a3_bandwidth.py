"""The traffic of each interface in each period."""

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'a3'
down_revision = 'a2'


def upgrade() -> None:
    # The primary key serves the reads of one instance, period by period.
    steps.create_table(
        'bandwidth_usage',
        sa.Column('uuid', sa.String(36), primary_key=True),
        sa.Column('mac_address', sa.String(32), primary_key=True),
        sa.Column('start_period', sa.DateTime, primary_key=True),
        sa.Column('bw_in', sa.BigInteger, nullable=False),
        sa.Column('bw_out', sa.BigInteger, nullable=False),
        sa.Column('last_ctr_in', sa.BigInteger, nullable=False),
        sa.Column('last_ctr_out', sa.BigInteger, nullable=False),
        sa.Column('last_epoch', sa.String(255), nullable=False),
        sa.Column('last_refreshed', sa.BigInteger, nullable=False))
