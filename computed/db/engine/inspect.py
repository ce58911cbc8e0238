"""What one database server tells about itself, before an upgrade.

The schema may be older than the models, so this module names columns itself.
"""

import dataclasses
import datetime
import os
import typing
from collections import abc

import sqlalchemy as sa
from alembic.runtime import migration
from oslo_db import exception as db_exc

from computed import clock
from computed.db.engine import address
from computed.db.engine import dialects
from computed.db.engine import encoding
from computed.db.engine import errors
from computed.db.engine import setup

# The server's time, as naive UTC with fractions. SQLite has the time of this
# machine.
CLOCKS = {'mysql': 'UTC_TIMESTAMP(6)',
          'postgresql': "timezone('UTC', clock_timestamp())"}

# True if the server refuses writes, as a replica does.
REPLICATING = {'mysql': '@@read_only', 'postgresql': 'pg_is_in_recovery()'}

# True if the account has the right to write, even if its server refuses.
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

    :ivar silent_for: seconds since its last heartbeat, by the database's
        clock
    """

    host: str
    version: str
    silent_for: float


@dataclasses.dataclass(frozen=True)
class Server:
    """The facts about a server; None: it did not tell.

    :ivar name: its address, without a password
    :ivar error: why there are no other facts
    :ivar text_problem: why it cannot keep every text; None: it can
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
    text_problem: str | None = None
    services: tuple[Service, ...] = ()


def look(url: str, timeout: float) -> Server:
    """Ask the server at ``url`` for its facts; a failure is one of them.

    :param timeout: seconds to wait for a connection and for each answer
    """
    name = address.show(url)
    parsed = sa.make_url(url)
    if (parsed.get_backend_name() == 'sqlite' and
            not os.path.exists(parsed.database or '')):
        # A connection would create the file.
        return Server(name)
    engine = setup.single(address.prepare(url, timeout))
    setup.tune(engine)
    try:
        with engine.connect() as connection:
            return Server(name, **_facts(connection))
    except (db_exc.DBError, sa.exc.SQLAlchemyError) as error:
        return Server(name, error=errors.problem(error))
    finally:
        engine.dispose()


def _facts(connection: sa.Connection) -> dict[str, typing.Any]:
    kind = connection.dialect.name

    def ask(expression: str | None) -> typing.Any:
        return expression and connection.scalar(sa.text(
            f'SELECT {expression}'))
    found = {
        'schema': migration.MigrationContext.configure(
            connection).get_current_revision(),
        'identity': connection.info['identity'],
        'skew': _skew(lambda: ask(CLOCKS.get(kind))),
        'text_problem': encoding.problem(connection)}
    replicating = ask(REPLICATING.get(kind))
    # A Galera node takes writes and has the writes of all other nodes.
    if replicating is not None and connection.info['cluster'] is None:
        found['replicating'] = bool(int(replicating))
    if found['schema'] is not None:
        may_write = ask(MAY_WRITE.get(kind))
        found.update(
            may_write=None if may_write is None else bool(may_write),
            database_id=connection.scalar(
                sa.select(sa.column('uuid')).select_from(
                    sa.table('database_identity'))),
            services=tuple(_services(connection)))
    return found


def _skew(server_time: abc.Callable[[], datetime.datetime | None]
          ) -> float | None:
    before = clock.time()
    there = server_time()
    after = clock.time()
    if there is None:
        return None
    there = there.replace(tzinfo=datetime.UTC)
    return there.timestamp() - (before + after) / 2


def _services(connection: sa.Connection) -> abc.Iterator[Service]:
    table = sa.table('services', sa.column('host'), sa.column('version'),
                     sa.column('last_seen', sa.DateTime))
    for host, version, seen, now in connection.execute(sa.select(
            table.c.host, table.c.version, table.c.last_seen,
            dialects.utcnow())):
        yield Service(host, version, (now - seen).total_seconds())
