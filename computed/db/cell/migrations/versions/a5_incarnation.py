"""The incarnation of the database; see computed.db.routing.incarnation."""

import sqlalchemy as sa

from computed.db.cell.migrations import steps

revision = 'a5'
down_revision = 'a4'


def upgrade() -> None:
    for name, length in (('incarnation', 36), ('lineage', 255)):
        steps.add_column('database_identity',
                         sa.Column(name, sa.String(length)))
