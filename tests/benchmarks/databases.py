"""The databases that are measured, with instances and a plain query."""

import contextlib
import dataclasses
import sqlite3
import typing
import uuid

import pymysql
import sqlalchemy as sa

from computed.db.cell import migration
from computed.db.cell import models
from computed.db.engine import dialects
from tests import servers

TABLE = models.Instance.__table__
COLUMNS = ', '.join(column.name for column in TABLE.columns)
QUERY = (f'SELECT {COLUMNS} FROM instances '
         'WHERE host = {} AND deleted = 0 ORDER BY uuid')


@dataclasses.dataclass
class Database:
    """:ivar folder: a new one, for what belongs to it
    :ivar query: callable, ``query(host)`` fetches the rows of its
        instances, every column, through the database's own client library
    """

    kind: str
    folder: typing.Any
    url: str
    query: typing.Callable

    def fill(self, host, count):
        """Give ``host`` this many instances."""
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            now = connection.scalar(sa.select(dialects.utcnow()))
            connection.execute(
                sa.insert(models.Host.__table__),
                {'name': host, 'revision': 1, 'created_at': now})
            connection.execute(sa.insert(TABLE), [{
                'uuid': str(uuid.uuid4()), 'name': f'instance-{number}',
                'host': host, 'vm_state': 'active', 'power_state': 1,
                'command': 'sleep 1000', 'vcpus': 1, 'memory_mb': 512,
                'disk_gb': 1, 'network': 'host', 'created_at': now,
                'launched_at': now, 'updated_at': now, 'deleted': False,
                'revision': 1} for number in range(count)])
        engine.dispose()


@contextlib.contextmanager
def sqlite(folder):
    """A file."""
    folder = folder / 'sqlite'
    folder.mkdir()
    url = f'sqlite:///{folder}/computed.sqlite'
    migration.sync(url)
    connection = sqlite3.connect(folder / 'computed.sqlite')
    with contextlib.closing(connection):
        yield Database(
            'SQLite', folder, url,
            lambda host: connection.execute(
                QUERY.format('?'), (host,)).fetchall())


@contextlib.contextmanager
def mariadb(folder):
    """A private server."""
    folder = folder / 'mariadb'
    folder.mkdir()
    servers.install_mariadb(folder / 'installed')
    server = servers.MariaDB(folder / 'server', folder / 'installed', 1)
    server.start()
    try:
        server.add_accounts()
        migration.sync(server.url())
        # The library's defaults, but for what would be TLS.
        connection = pymysql.connect(
            host='127.0.0.1', port=server.port, user='computed',
            password='computed', database='computed', ssl_disabled=True)

        def query(host):
            with connection.cursor() as cursor:
                cursor.execute(QUERY.format('%s'), (host,))
                rows = cursor.fetchall()
            connection.rollback()
            return rows
        with contextlib.closing(connection):
            yield Database('MariaDB', folder, server.url(), query)
    finally:
        server.stop()


KINDS = (sqlite, mariadb)
