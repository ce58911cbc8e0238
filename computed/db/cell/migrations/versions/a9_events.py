"""What was done to instances and hosts."""

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'a9'
down_revision = 'a8'


def upgrade() -> None:
    steps.create_table(
        'events',
        sa.Column('id', sa.BigInteger().with_variant(sa.Integer, 'sqlite'),
                  primary_key=True),
        sa.Column('began_at', sa.DateTime, nullable=False),
        sa.Column('ended_at', sa.DateTime),
        sa.Column('uuid', sa.String(36)),
        sa.Column('name', sa.String(255)),
        sa.Column('host', sa.String(255)),
        sa.Column('operation', sa.String(64), nullable=False),
        sa.Column('asked_by', sa.String(255), nullable=False),
        sa.Column('request_id', sa.String(64)),
        sa.Column('claim_id', sa.String(36)),
        sa.Column('state_before', sa.String(32)),
        sa.Column('state_after', sa.String(32)),
        sa.Column('result', sa.String(16)),
        sa.Column('fault', sa.Text),
        sa.Column('reason', sa.Text))
    for columns in (['uuid', 'id'], ['name', 'id'], ['host', 'id']):
        steps.create_index(f'events_{columns[0]}_idx', 'events', columns)
    steps.create_index('events_claim_id_idx', 'events', ['claim_id', 'uuid'],
                       unique=True)
