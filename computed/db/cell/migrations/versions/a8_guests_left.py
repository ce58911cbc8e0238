"""Guests that are left of instances that were deleted without their host."""

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'a8'
down_revision = 'a7'


def upgrade() -> None:
    steps.add_column('instances', sa.Column(
        'guest_left', sa.Boolean, nullable=False, server_default=sa.false()))
    steps.create_index('instances_host_guest_left_idx', 'instances',
                       ['host', 'guest_left'])
    # Of claim list and claim release.
    steps.create_index('instances_claim_id_idx', 'instances', ['claim_id'])
