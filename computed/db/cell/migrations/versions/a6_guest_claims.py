"""Claims on guests that have no instance."""

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'a6'
down_revision = 'a5'


def upgrade() -> None:
    steps.create_table(
        'guest_claims',
        sa.Column('uuid', sa.String(36), primary_key=True),
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('claim_id', sa.String(36), nullable=False),
        sa.Column('claim_owner', sa.String(80), nullable=False),
        sa.Column('claimed_at', sa.DateTime, nullable=False))
    steps.create_index('guest_claims_claim_owner_idx', 'guest_claims',
                       ['claim_owner'])
