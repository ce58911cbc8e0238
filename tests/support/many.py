"""A database with very many instances, and what a page of it costs."""

import contextlib
import datetime
import random
import threading
import uuid

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import event

from computed import conf as computed_conf
from computed.db.cell import migration
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.routing import router as router_module
from tests.support import fixtures

NOW = datetime.datetime(2026, 1, 1)
HOSTS = 20


def fill(url, count):
    """A schema with ``count`` instances; a quarter of them is called web,
    and one in a hundred is in error.
    """
    migration.sync(url)
    chance = random.Random(1)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.insert(models.Host), [
            {'name': f'h{number}', 'revision': 1, 'created_at': NOW}
            for number in range(HOSTS)])
        for start in range(0, count, 5000):
            connection.execute(sa.insert(models.Instance), [
                _row(number, chance)
                for number in range(start, min(start + 5000, count))])
    analyze = {'sqlite': 'ANALYZE', 'postgresql': 'ANALYZE'}.get(
        engine.dialect.name, 'ANALYZE TABLE instances')
    with engine.connect() as connection:
        connection.execution_options(isolation_level='AUTOCOMMIT')
        connection.exec_driver_sql(analyze)
    engine.dispose()


def _row(number, chance):
    name = 'web' if number % 4 == 0 else f'n{chance.randrange(10 ** 9)}'
    return {
        **fixtures.INSTANCE, 'host': f'h{number % HOSTS}', 'name': name,
        'uuid': str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        'vm_state': 'error' if number % 100 == 1 else 'active',
        'created_at': NOW, 'updated_at': NOW, 'deleted': False,
        'revision': 1}


def route(url, max_page=1000):
    """Queries go to ``url`` from now on."""
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    conf([], default_config_files=[])
    router = router_module.Router(conf.database, url)
    cell.configure(router, lambda: max_page)
    return router


@contextlib.contextmanager
def statements():
    """A list of the SELECTs made in the block: ``(text, parameters)``.

    Only those of this thread: others of the process may look after servers.
    """
    seen, mine = [], threading.get_ident()

    def note(connection, cursor, statement, parameters, *rest):
        if statement.startswith('SELECT') and threading.get_ident() == mine:
            seen.append((statement, parameters))
    event.listen(sa.Engine, 'before_cursor_execute', note)
    try:
        yield seen
    finally:
        event.remove(sa.Engine, 'before_cursor_execute', note)


def rows_read(url, statement):
    """How many rows and index entries MariaDB looks at for a statement."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        def so_far():
            return sum(int(number) for _, number in connection.exec_driver_sql(
                "SHOW SESSION STATUS WHERE Variable_name LIKE "
                "'Handler_read%%' OR Variable_name = 'Handler_icp_attempts'"))
        # To look costs something, too.
        first, before = so_far(), so_far()
        connection.exec_driver_sql(*statement).all()
        after = so_far()
    engine.dispose()
    return (after - before) - (before - first)


def plan(url, statement):
    """What the database says of how it would answer a statement, as text."""
    engine = sa.create_engine(url)
    text, parameters = statement
    explain = ('EXPLAIN QUERY PLAN ' if engine.dialect.name == 'sqlite'
               else 'EXPLAIN ')
    with engine.connect() as connection:
        found = [' '.join(map(str, row)) for row in
                 connection.exec_driver_sql(explain + text, parameters)]
    engine.dispose()
    return '\n'.join(found)
