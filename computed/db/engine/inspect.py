"""What one database server says of itself, for a look before an upgrade.

It names columns itself, for the schema may be older than the models.
"""

import dataclasses
import datetime
import os
import time

import sqlalchemy as sa
from alembic.runtime import migration
from oslo_db import exception as db_exc

from computed.db.cell import models
from computed.db.engine import setup as engines

# Naive UTC with its fraction; SQLite's is this machine's own.
CLOCKS = {'mysql': 'UTC_TIMESTAMP(6)',
          'postgresql': "timezone('UTC', clock_timestamp())"}

# Whether the server is a replica, as far as it refuses to write.
REPLICATING = {'mysql': '@@read_only', 'postgresql': 'pg_is_in_recovery()'}

# Whether the account might write, whatever its server allows.
MAY_WRITE = {
    'mysql': """(SELECT COUNT(*) FROM (
        SELECT grantee, privilege_type FROM information_schema.user_privileges
        UNION ALL
        SELECT grantee, privilege_type FROM
        information_schema.schema_privileges WHERE DATABASE() LIKE table_schema
        UNION ALL
        SELECT grantee, privilege_type FROM
        information_schema.table_privileges WHERE table_schema = DATABASE()
        ) AS found
        WHERE privilege_type IN ('INSERT', 'UPDATE', 'DELETE')
        AND grantee = CONCAT('''',
        REPLACE(CURRENT_USER(), '@', '''@'''), ''''))""",
    'postgresql':
        "has_table_privilege('instances', 'INSERT, UPDATE, DELETE')"}


@dataclasses.dataclass(frozen=True)
class Service:
    """The daemon of a host.

    :ivar silent_for: seconds since it was heard, by the database's clock
    """

    host: str
    version: str
    silent_for: float


@dataclasses.dataclass(frozen=True)
class Server:
    """What is known of a server; None: it did not say.

    :ivar name: its address, without a password
    :ivar error: why nothing else is known
    :ivar skew: seconds by which its clock is ahead of this machine's
    """

    name: str
    error: str | None = None
    schema: str | None = None
    database_id: str | None = None
    identity: str | None = None
    replicating: bool | None = None
    may_write: bool | None = None
    skew: float | None = None
    services: tuple[Service, ...] = ()


def look(url, timeout):
    """A :class:`Server`, whatever answers at ``url``, or nothing.

    :param timeout: seconds to wait for it to connect or to answer
    """
    name = engines.address(url)
    parsed = sa.make_url(url)
    if (parsed.get_backend_name() == 'sqlite' and
            not os.path.exists(parsed.database or '')):
        # To connect would make it.
        return Server(name)
    engine = engines.single(engines.prepared(url, timeout))
    engines.tune(engine)
    try:
        with engine.connect() as connection:
            return Server(name, **_facts(connection))
    except (db_exc.DBError, sa.exc.SQLAlchemyError) as error:
        return Server(name, error=str(error).split('\n', 1)[0])
    finally:
        engine.dispose()


def _facts(connection):
    kind = connection.dialect.name

    def ask(expression):
        return expression and connection.scalar(sa.text(
            f'SELECT {expression}'))
    found = {
        'schema': migration.MigrationContext.configure(
            connection).get_current_revision(),
        'identity': connection.info['identity'],
        'skew': _skew(lambda: ask(CLOCKS.get(kind)))}
    replicating = ask(REPLICATING.get(kind))
    # A Galera node takes writes and has those of all others.
    if replicating is not None and connection.info['cluster'] is None:
        found['replicating'] = bool(int(replicating))
    if found['schema'] is not None:
        may_write = ask(MAY_WRITE.get(kind))
        found.update(
            may_write=None if may_write is None else bool(may_write),
            database_id=connection.scalar(
                sa.select(sa.column('uuid')).select_from(
                    sa.table('databases'))),
            services=tuple(_services(connection)))
    return found


def _skew(clock):
    began = time.time()
    there = clock()
    ended = time.time()
    if there is None:
        return None
    there = there.replace(tzinfo=datetime.UTC).timestamp()
    return there - (began + ended) / 2


def _services(connection):
    table = sa.table('services', sa.column('host'), sa.column('version'),
                     sa.column('last_seen', sa.DateTime))
    for host, version, seen, now in connection.execute(sa.select(
            table.c.host, table.c.version, table.c.last_seen,
            models.utcnow())):
        yield Service(host, version, (now - seen).total_seconds())
