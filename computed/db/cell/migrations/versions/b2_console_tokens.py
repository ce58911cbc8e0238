"""The tokens that admit to consoles."""

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'b2'
down_revision = 'b1'


def upgrade() -> None:
    steps.create_table(
        'console_tokens',
        sa.Column('token_hash', sa.String(64), primary_key=True),
        sa.Column('instance_uuid', sa.String(36), nullable=False),
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('expires', sa.DateTime, nullable=False))
    steps.create_index('console_tokens_expires_idx', 'console_tokens',
                       ['host', 'expires'])
    steps.create_index('console_tokens_instance_uuid_idx', 'console_tokens',
                       ['instance_uuid'])
