"""SQL that tells one database server from another."""

import os

import sqlalchemy as sa

# Distinguishes two servers behind the same address.
IDENTITY = {
    'mysql': "CONCAT_WS('/', @@hostname, @@port, @@server_id, @@datadir)",
    # A plain account may read no more than this. No two servers started in
    # the same microsecond, and a promotion changes the second part. No
    # function here is volatile: a proxy that splits reads from writes would
    # take the query for a write.
    'postgresql': "CONCAT_WS('/', pg_postmaster_start_time(),"
                  " 'in recovery: ' || current_setting('in_hot_standby',"
                  " true))",
}

# Whether the server takes writes at this moment. A demoted primary does not,
# nor does one that is fenced by its settings. MariaDB 12 has names for the
# values, which are numbers elsewhere.
TAKES_WRITES = {
    'mysql': "CAST(@@global.read_only AS CHAR) IN ('0', 'OFF')",
    'postgresql': "current_setting('transaction_read_only') = 'off'",
}

# This changes when another server takes over, because that server may lack
# earlier writes. MySQL: the server's own id. PostgreSQL: its id and its
# timeline, which a promotion ends. A Galera cluster keeps its identity.
LINEAGE = {
    'sqlite': "'file'",
    'mysql': "CONCAT('server ', @@server_id)",
    'postgresql': "CONCAT_WS('/', (SELECT system_identifier"
                  " FROM pg_control_system()),"
                  " substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))",
}


# Distinguishes two databases. A copy, a replica and a backup that was restored
# are the same database.
DATABASE = '(SELECT uuid FROM database_identity)'


def identity(engine: sa.Engine) -> str:
    """Return an SQL expression that names the server of ``engine``."""
    if engine.dialect.name == 'sqlite':
        path = os.path.realpath(engine.url.database or ':memory:')
        return "'" + path.replace("'", "''") + "'"
    return IDENTITY[_family(engine)]


def takes_writes(engine: sa.Engine) -> str:
    """Return an SQL expression: whether the server takes writes now.

    On PostgreSQL it must not be asked in a transaction that had begun before.
    """
    return TAKES_WRITES[_family(engine)]


def lineage(engine: sa.Engine) -> str:
    """Return an SQL expression that changes when another server takes over.

    On PostgreSQL only the primary can answer it.
    """
    return LINEAGE[_family(engine)]


def column(connection: sa.Connection) -> sa.Label[str]:
    """Return a column that names the server of a connection."""
    return sa.literal_column(identity(connection.engine)).label('server')


def _family(engine: sa.Engine) -> str:
    # A URL may call MariaDB by its own name.
    name = engine.dialect.name
    return 'mysql' if name == 'mariadb' else name
