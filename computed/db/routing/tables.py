"""The tables that every database has for its routing.

Routing knows them by their names and columns only, so that it works for
databases of different schemas. The models of each schema make them; a test
compares the two.
"""

import sqlalchemy as sa

# One row: which database this is, and its incarnation; see
# computed.db.routing.incarnation.
database_identity = sa.table(
    'database_identity',
    sa.column('id', sa.Integer),
    sa.column('uuid', sa.String),
    sa.column('incarnation', sa.String),
    sa.column('lineage', sa.String))

# One row per conductor process: the newest heartbeat that it sent.
replica_heartbeats = sa.table(
    'replica_heartbeats',
    sa.column('conductor_id', sa.String),
    sa.column('heartbeat', sa.BigInteger),
    sa.column('sent_at', sa.DateTime))

# One row per host: the revision counts the changes of what belongs to it.
hosts = sa.table(
    'hosts',
    sa.column('name', sa.String),
    sa.column('revision', sa.BigInteger))

ALL = (database_identity, replica_heartbeats, hosts)
