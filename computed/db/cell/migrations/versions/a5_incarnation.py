"""The incarnation of the database; see computed.db.routing.incarnation."""

import sqlalchemy as sa
from alembic import op

revision = 'a5'
down_revision = 'a4'


def upgrade() -> None:
    op.add_column('database_identity', sa.Column('incarnation', sa.String(36)))
    op.add_column('database_identity', sa.Column('lineage', sa.String(255)))
