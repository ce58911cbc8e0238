"""How far the audits of usage have come."""

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'b3'
down_revision = 'b2'


def upgrade() -> None:
    steps.create_table(
        'usage_audits',
        sa.Column('host', sa.String(255), primary_key=True),
        sa.Column('period_beginning', sa.DateTime, primary_key=True),
        sa.Column('period_ending', sa.DateTime, primary_key=True),
        sa.Column('state', sa.String(16), nullable=False),
        sa.Column('writes', sa.BigInteger, nullable=False),
        sa.Column('attempt', sa.Integer, nullable=False),
        sa.Column('marker', sa.String(36), nullable=False),
        sa.Column('reported', sa.BigInteger, nullable=False),
        sa.Column('unreported', sa.Text, nullable=False),
        sa.Column('began_at', sa.DateTime, nullable=False),
        sa.Column('ended_at', sa.DateTime))
