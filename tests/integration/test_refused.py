"""A primary that is there and lets no connection in."""

import contextlib
import signal

import pymysql
import pytest
import sqlalchemy as sa

from computed import context
from computed import exception
from computed.cmd import status
from computed.db.cell import instance
from computed.db.cell import migration
from computed.db.engine import inspect
from computed.objects import instance as instance_obj
from tests.support import fixtures
from tests.support import routed
from tests.support import waiting

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])


def with_account(database, password):
    return sa.make_url(database.url).set(
        username='changing', password=password).render_as_string(
            hide_password=False)


def create_account(database):
    """An account of the test's own that may do all in the database."""
    if is_mariadb(database):
        database.sql("CREATE USER changing@'127.0.0.1' IDENTIFIED BY 'old'",
                     f'GRANT ALL ON {database.name}.* TO '
                     "changing@'127.0.0.1'")
    else:
        database.sql("CREATE ROLE changing LOGIN PASSWORD 'old'",
                     'GRANT ALL ON ALL TABLES IN SCHEMA public TO changing')


def change_password(database):
    """Change it, and end all sessions, which had the former one."""
    if is_mariadb(database):
        database.sql("SET PASSWORD FOR changing@'127.0.0.1' ="
                     " PASSWORD('new')", "KILL USER changing@'127.0.0.1'")
    else:
        database.sql("ALTER ROLE changing PASSWORD 'new'",
                     'SELECT pg_terminate_backend(pid) FROM pg_stat_activity'
                     " WHERE usename = 'changing'")


def drop_account(database):
    database.sql(*(['DROP USER changing@127.0.0.1'] if is_mariadb(database)
                   else ['DROP OWNED BY changing', 'DROP ROLE changing']))


def is_mariadb(database):
    return sa.make_url(database.url).get_backend_name() != 'postgresql'


def read():
    return instance_obj.InstanceList.get_by_host(
        context.new(), fixtures.HOST, use_slave=False)


def refusal():
    """The error of a strict read, or None."""
    try:
        read()
    except exception.ComputedError as error:
        return error
    return None


@on_each_engine
def test_a_new_password_is_used_after_sighup(schema, tmp_path):
    create_account(schema)
    path = tmp_path / 'computed.conf'
    arguments = fixtures.write_config(
        path, {'connection': with_account(schema, 'old')})
    program = fixtures.Program('computed-conductor', tmp_path, *arguments)
    try:
        with fixtures.HostSide(tmp_path, tmp_path):
            program.wait_for(lambda: list(tmp_path.glob('rpc/*conductor*')),
                             'the conductor')
            assert len(read()) == 1
            change_password(schema)
            error = waiting.wait_for(refusal, 10, 'the refusal')
            assert isinstance(error, exception.PrimaryUnavailable)
            # The first one may tell of the session that has ended.
            error = waiting.wait_for(refusal, 10)
            assert 'changing' in str(error)
            assert len(str(error).splitlines()) == 1

            fixtures.write_config(
                path, {'connection': with_account(schema, 'new')})
            program.process.send_signal(signal.SIGHUP)
            waiting.wait_for(lambda: refusal() is None, 15, 'an answer')
            program.wait_for_output(' answers again after ')
    finally:
        program.end()
        drop_account(schema)
    output = program.output()
    assert 'Traceback' not in output
    assert 'immutable' not in output
    assert output.count(' is away: ') == 1


def test_too_many_connections_are_told_in_one_line(schema, caplog):
    primary = schema.cluster.primary
    [[usual]] = primary.sql('SELECT @@max_connections')
    with routed.unmeasured(schema.url) as router, \
            contextlib.ExitStack() as held:
        held.callback(primary.sql, f'SET GLOBAL max_connections = {usual}')
        primary.sql('SET GLOBAL max_connections = 10')
        url = sa.make_url(schema.url)
        with pytest.raises(pymysql.err.OperationalError,
                           match='Too many connections'):
            for _ in range(20):
                held.callback(pymysql.connect(
                    host=url.host, port=url.port, user=url.username,
                    password=url.password).close)
        for _ in range(3):
            with pytest.raises(exception.PrimaryUnavailable) as refused:
                instance.get_all_by_host(context.new(), fixtures.HOST)
            assert str(refused.value).startswith(
                f'The primary database {router.primary.name} cannot be used: '
                'Too many connections (1040).')
    [said] = fixtures.complaints(caplog)
    assert said.getMessage() == (f'Primary {router.primary.name} is away: '
                                 'Too many connections (1040)')
    assert said.exc_info is None


@on_each_engine
def test_an_error_that_nobody_knows_is_one_line(schema, caplog):
    migration.sync(schema.url)
    with routed.unmeasured(schema.url):
        schema.sql('ALTER TABLE instances DROP COLUMN vcpus')
        for _ in range(2):
            with pytest.raises(exception.DatabaseFailed) as refused:
                instance.get_all_by_host(context.new(), fixtures.HOST)
        assert 'vcpus' in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1
    assert not [record for record in fixtures.complaints(caplog)
                if record.exc_info]


LESS = {
    'columns': (
        'mariadb', lambda database: database.sql(
            'ALTER TABLE instances MODIFY name varchar(255) '
            'CHARACTER SET utf8mb3'),
        'instances.name has the character set utf8mb3. Convert'),
    'connection': ('mariadb', 'charset=latin1',
                   'the connection has the character set latin1. Leave'),
    'client': ('postgresql', 'client_encoding=latin1',
               'the connection has the encoding LATIN1. Leave'),
    'server': ('postgresql', lambda database: database.cluster.primary.sql(
        f"CREATE DATABASE {database.name}_latin ENCODING 'LATIN1' "
        "LOCALE 'C' TEMPLATE template0"),
        'it has the encoding LATIN1. Make another'),
}


@pytest.mark.parametrize('engine, make, problem', LESS.values(), ids=LESS)
def test_a_database_that_keeps_not_every_text_is_refused(
        schema, tmp_path, engine, make, problem):
    url = schema.url
    if isinstance(make, str):
        url = sa.make_url(url).difference_update_query(
            ['charset']).update_query_string(make).render_as_string(
                hide_password=False)
    else:
        make(schema)
        if engine == 'postgresql':
            url = url.replace(schema.name, schema.name + '_latin')
    try:
        with pytest.raises(exception.TextNotKept) as refused:
            migration.sync(url)
        assert problem in str(refused.value)
        primary = inspect.look(url, 10)
        found = status.schema(primary, 'a1', ['a1'])
        assert found.code == status.FAILURE
        assert problem in found.details
    finally:
        if engine == 'postgresql' and not isinstance(make, str):
            schema.cluster.primary.sql(
                f'DROP DATABASE {schema.name}_latin')
