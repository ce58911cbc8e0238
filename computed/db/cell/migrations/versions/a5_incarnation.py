"""The incarnation of the database; see computed.db.routing.incarnation."""

import sqlalchemy as sa
from alembic import op

revision = 'a5'
down_revision = 'a4'


def upgrade() -> None:
    op.add_column('databases', sa.Column('incarnation', sa.String(36)))
    op.add_column('databases', sa.Column('lineage', sa.String(255)))
