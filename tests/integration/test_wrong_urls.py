"""What is wrong with the URL of a database, as its server says it."""

import pytest
import sqlalchemy as sa

from computed.db.engine import address
from tests.support import fixtures
from tests.support import prefork
from tests.support import schemas

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
WRONG = {
    'password': lambda url: url.set(password='an0ther'),
    'database': lambda url: url.set(database='computed_none'),
    'port': lambda url: url.set(port=1),
}
each_mistake = pytest.mark.parametrize('mistake', WRONG)


def wrong(database, mistake):
    return WRONG[mistake](sa.make_url(database.url)).render_as_string(
        hide_password=False)


@on_each_engine
@each_mistake
def test_the_command_line_says_it_in_one_line(database, tmp_path, mistake):
    url = wrong(database, mistake)
    for command in ('sync', 'version'):
        done = prefork.run(
            'computed.cmd.manage', *fixtures.write_config(
                tmp_path / 'computed.conf', {'connection': url}),
            'db', command)
        assert (done.returncode, done.stdout) == (1, '')
        [line] = done.stderr.splitlines()
        assert line.startswith('computed-manage: The primary database '
                               f'{address.show(url)} cannot be used: ')
        assert 'an0ther' not in line


@on_each_engine
@each_mistake
def test_a_conductor_says_it_once_and_waits(database, tmp_path, mistake):
    """It may be put right at the server; then the conductor goes on."""
    url = wrong(database, mistake)
    program = fixtures.Program(
        'computed-conductor', tmp_path, *fixtures.write_config(
            tmp_path / 'computed.conf', {'connection': url}))
    try:
        program.wait_for_output('Waiting: The primary database '
                                f'{address.show(url)} cannot be used: ')
    finally:
        status = program.end()
    assert status == 0
    assert len(program.output().splitlines()) == 1


@on_each_engine
def test_a_conductor_whose_account_is_let_in_goes_on(database, tmp_path):
    schemas.fill(database.url)
    account = {'mariadb': "USER late@'127.0.0.1' IDENTIFIED BY 'word'",
               'postgresql': "ROLE late LOGIN PASSWORD 'word'"}[engine_of(
                   database)]
    url = sa.make_url(database.url).set(username='late', password='word')
    program = fixtures.Program(
        'computed-conductor', tmp_path, *fixtures.write_config(
            tmp_path / 'computed.conf',
            {'connection': url.render_as_string(hide_password=False)},
            debug=True))
    try:
        program.wait_for_output('cannot be used: ')
        database.sql(f'CREATE {account}', *grants(database))
        program.wait_for_output('Conductor ready')
    finally:
        program.end()
        database.sql(*(['DROP USER late@127.0.0.1'] if engine_of(database)
                       == 'mariadb' else ['DROP OWNED BY late',
                                          'DROP ROLE late']))


@on_each_engine
def test_a_conductor_waits_for_a_primary_that_takes_no_writes(
        database, tmp_path):
    """As in a failover, when its address has moved already."""
    schemas.fill(database.url)
    primary = database.cluster.primary
    primary.refuse_writes()
    program = fixtures.Program(
        'computed-conductor', tmp_path, *fixtures.write_config(
            tmp_path / 'computed.conf', {'connection': database.url},
            debug=True))
    try:
        program.wait_for_output('Waiting: ')
        primary.accept_writes()
        program.wait_for_output('Conductor ready')
    finally:
        primary.accept_writes()
        program.end()


def engine_of(database):
    backend = sa.make_url(database.url).get_backend_name()
    return 'postgresql' if backend == 'postgresql' else 'mariadb'


def grants(database):
    if engine_of(database) == 'mariadb':
        return [f"GRANT ALL ON {database.name}.* TO late@'127.0.0.1'"]
    return ['GRANT ALL ON ALL TABLES IN SCHEMA public TO late']
