"""A schema of any age, and what an engine tells about it."""

import contextlib
import os
import subprocess
import threading
import uuid

import psycopg
import pymysql
import pymysql.constants.CLIENT
import sqlalchemy as sa

from computed.db.cell import migration
from computed.db.cell import models
from computed.db.cell.migrations import steps
from computed.db.engine import exclusive
from tests.servers import base
from tests.support import waiting


def fill(url):
    """Give an empty database the newest schema, as the migrations do.

    It copies one that they made, in a fifth of the time. The database gets
    an identity of its own. A database that is not empty stays as it is.

    :param url: of MariaDB or PostgreSQL
    """
    parsed = sa.make_url(url)
    kind = parsed.get_backend_name()
    if kind not in _dumps:
        migration.sync(url)
        _dumps[kind] = _dump(url)
        return
    with migration._engine(url) as engine:
        if sa.inspect(engine).has_table(models.DatabaseIdentity.__tablename__):
            return
    text, identity = _dumps[kind]
    load = {'mysql': _load_mariadb, 'postgresql': _load_postgresql}[kind]
    load(parsed, text.replace(identity, str(uuid.uuid4())))


# What _dump returned, by the kind of server.
_dumps = {}


def _dump(url):
    """Return the text of the schema at ``url``, and the identity in it."""
    with migration._engine(url) as engine, \
            engine.connect() as connection:
        identity = connection.scalar(sa.select(
            models.DatabaseIdentity.uuid))
    parsed = sa.make_url(url)
    command, environment = {
        'mysql': _dump_mariadb, 'postgresql': _dump_postgresql}[
            parsed.get_backend_name()](parsed)
    text = subprocess.run(
        command, env={**os.environ, **environment}, check=True,
        capture_output=True, text=True).stdout
    # Lines that begin so are for psql.
    return '\n'.join(line for line in text.splitlines()
                     if not line.startswith('\\')), identity


def _dump_mariadb(url):
    return [base.program('mariadb-dump'), '--no-defaults', '--compact',
            '--skip-lock-tables', '--skip-ssl', f'--host={url.host}',
            f'--port={url.port}', f'--user={url.username}', url.database], {
                'MYSQL_PWD': url.password}


def _dump_postgresql(url):
    return [base.program('pg_dump'), '--no-owner', '--inserts',
            _libpq(url)], {}


def _libpq(url):
    """Return what libpq calls a connection; a URL may name several hosts."""
    [], found = url.get_dialect()().create_connect_args(url)
    return psycopg.conninfo.make_conninfo(**{
        name: value for name, value in found.items() if name != 'context'})


def _load_mariadb(url, text):
    connection = pymysql.connect(
        host=url.host, port=url.port, user=url.username,
        password=url.password, database=url.database, charset='utf8mb4',
        client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS,
        ssl_disabled=True)
    with connection, connection.cursor() as cursor:
        cursor.execute(text)
        while cursor.nextset():
            pass
        connection.commit()


def _load_postgresql(url, text):
    with psycopg.connect(_libpq(url)) as connection:
        connection.execute(text)


def upgrade(url, newest):
    """Upgrade the database at ``url`` as far as the schema ``newest``."""
    with migration._engine(url) as engine, \
            exclusive.turn(engine, 10) as turn:
        upgrade_in(turn, newest)


def upgrade_in(turn, newest):
    """As :func:`upgrade`, for one who has the turn already."""
    migration.upgrade(turn, steps.Progress(), newest)


@contextlib.contextmanager
def held(url):
    """Let another thread have the turn while the body runs."""
    begun, over = threading.Event(), threading.Event()

    def hold():
        with migration._engine(url) as engine, exclusive.turn(engine, 0):
            begun.set()
            over.wait()
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        waiting.wait_for(lambda: begun.is_set() or not thread.is_alive())
        assert thread.is_alive()
        yield
    finally:
        over.set()
        thread.join()


def shape(url):
    """All that an engine tells about the tables of a database."""
    with migration._engine(url) as engine, engine.connect() as connection:
        look = sa.inspect(connection)
        return {table: _shape(look, table)
                for table in sorted(look.get_table_names())}


def _shape(look, table):
    return {
        'columns': [{**column, 'type': repr(column['type'])}
                    for column in look.get_columns(table)],
        'key': look.get_pk_constraint(table),
        'indexes': sorted(look.get_indexes(table), key=_name),
        'foreign keys': sorted(look.get_foreign_keys(table), key=_name),
        'unique': sorted(look.get_unique_constraints(table), key=_name),
        'checks': sorted(look.get_check_constraints(table), key=_name),
        'options': look.get_table_options(table),
        'rows': look.bind.scalar(sa.select(sa.func.count()).select_from(
            sa.table(table)))}


def _name(found):
    return found['name']
