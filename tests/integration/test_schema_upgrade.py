"""An upgrade of the schema that is interrupted, refused, or done by several.

The tests walk through all migrations, so a new one needs no test of its own.
"""

import contextlib
import contextvars
import dataclasses
import functools
import re
import signal

import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exc
from sqlalchemy import event

from computed import exception
from computed.db.cell import migration
from computed.db.engine import exclusive
from computed.db.engine import turns
from tests.support import fixtures
from tests.support import prefork
from tests.support import schemas

engines = pytest.mark.parametrize(
    'engine', ['sqlite', 'mariadb', 'postgresql'])
CHANGE = re.compile(r'\s*(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE)\b')
# How to end a session without a word.
CUT = {'sqlite': lambda found: found.close(),
       'mysql': lambda found: found._force_close(),
       'postgresql': lambda found: found.pgconn.finish()}


@pytest.fixture
def url(engine, request, tmp_path):
    """An empty database."""
    if engine == 'sqlite':
        return f'sqlite:///{tmp_path}/x.sqlite'
    url = request.getfixturevalue('database').url
    # The driver would prepare each connection for TLS, which takes time.
    return url + '&ssl_disabled=1' if engine == 'mariadb' else url


@dataclasses.dataclass
class Undisturbed:
    """An upgrade that nothing disturbed.

    :ivar shape: the tables that it made
    :ivar changes: how many statements changed something
    """

    shape: dict
    changes: int


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory, request):
    """Upgrade a database of an engine, once."""
    @functools.cache
    def of(engine):
        if engine == 'sqlite':
            folder = tmp_path_factory.mktemp('undisturbed')
            url = f'sqlite:///{folder}/x.sqlite'
        else:
            primary = request.getfixturevalue(f'{engine}_cluster').primary
            primary.create_database('computed_undisturbed')
            request.addfinalizer(
                lambda: primary.drop_database('computed_undisturbed'))
            url = primary.url(database='computed_undisturbed')
        with killed_after(None) as done:
            migration.sync(url)
        return Undisturbed(schemas.shape(url), len(done))
    return of


class Killed(BaseException):
    """This process ends now."""


@contextlib.contextmanager
def killed_after(number, look=lambda: None):
    """End the body after so many statements that change something.

    Its session is cut, so nothing that it does afterwards counts.

    :param number: None: do not end it
    :param look: called after each of these statements
    :returns: a list of the statements
    """
    done = []

    def count(connection, cursor, statement, *others):
        if CHANGE.match(statement):
            done.append(statement)
            look()
            if len(done) == number:
                CUT[connection.dialect.name](
                    connection.connection.dbapi_connection)
                raise Killed
    event.listen(sa.Engine, 'after_cursor_execute', count)
    try:
        yield done
    except (Killed, sa.exc.SQLAlchemyError, db_exc.DBError):
        assert len(done) == number
    finally:
        event.remove(sa.Engine, 'after_cursor_execute', count)


def upgrade(engine, number, **look):
    """Upgrade, and be killed after so many changes; return these."""
    with killed_after(number, **look) as done:
        with exclusive.turn(engine, 10) as turn:
            schemas.upgrade_in(turn, 'head')
    return done


@pytest.mark.parametrize('engine', ['mariadb'])
def test_an_upgrade_that_ends_after_any_statement_is_completed(
        url, undisturbed, engine):
    """Each run does one more statement and is killed."""
    runs = 0
    with migration._engine(url) as quick:
        while upgrade(quick, 1):
            runs += 1
    assert runs == undisturbed(engine).changes > 40
    assert schemas.shape(url) == undisturbed(engine).shape


@pytest.mark.parametrize('engine', ['sqlite', 'postgresql'])
def test_an_upgrade_that_ends_after_any_statement_leaves_nothing(
        url, undisturbed, engine):
    """A transaction of which others see nothing leaves nothing."""
    changes = undisturbed(engine).changes
    seen = []
    with migration._engine(url) as quick, migration._engine(url) as other, \
            other.connect().execution_options(
                isolation_level='AUTOCOMMIT') as connection:
        def look():
            # Not as a part of the work of this context, which writes.
            seen.append(contextvars.Context().run(
                lambda: sa.inspect(connection).get_table_names()))
        for number in (1, changes // 2, changes):
            seen.clear()
            assert len(upgrade(quick, number, look=look)) == number
            look()
            assert seen == [[]] * (number + 1)
        upgrade(quick, None)
    assert changes > 40
    assert schemas.shape(url) == undisturbed(engine).shape


def sync(url, folder, number=0):
    """Start ``db sync`` as a process."""
    folder = folder / str(number)
    folder.mkdir(exist_ok=True)
    return fixtures.Program('computed-manage', folder, *fixtures.write_config(
        folder / 'computed.conf', {'connection': url}),
        'db', 'sync', '--wait', '60')


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
def test_after_a_kill_several_at_once_complete_it(
        url, undisturbed, engine, tmp_path):
    killed = sync(url, tmp_path)
    with migration._engine(url) as looking, looking.connect() as connection:
        killed.wait_for(lambda: begun(connection), 'the first table')
    killed.end(signal.SIGKILL)
    several = [sync(url, tmp_path, number) for number in range(3)]
    for one in several:
        assert one.process.wait(120) == 0, one.output()
    assert schemas.shape(url) == undisturbed(engine).shape


def begun(connection):
    """Whether a process changes the schema: on PostgreSQL nobody sees the
    tables before the end, but the lock.
    """
    if connection.dialect.name == 'postgresql':
        question = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"
    else:
        question = "SHOW TABLES LIKE 'database_identity'"
    found = connection.exec_driver_sql(question).all()
    connection.rollback()
    return found


HOLDERS = {'sqlite': r'it has locked .*/x\.sqlite',
           'mariadb': r'session \d+ of computed at 127\.0\.0\.1:\d+',
           'postgresql': r'session \d+ of computed at 127\.0\.0\.1'}


@engines
def test_who_waits_says_for_whom_and_not_for_ever(url, engine, caplog):
    with schemas.held(url), pytest.raises(exception.SchemaBusy,
                                  match=HOLDERS[engine]):
        migration.sync(url, wait=1)
    [line] = [record.getMessage() for record in caplog.records
              if record.name == turns.__name__]
    assert re.search(HOLDERS[engine], line)
    assert migration.sync(url, wait=0) == (None, migration.known()[-1])


@engines
def test_a_table_of_another_program_is_named(url, engine):
    with migration._engine(url) as one:
        with one.begin() as connection:
            connection.exec_driver_sql(
                'CREATE TABLE instances (uuid VARCHAR(36) NOT NULL PRIMARY '
                'KEY)')
        with pytest.raises(exception.SchemaUpgradeFailed, match=(
                'at schema a1, step "create table instances": table instances '
                'exists, but it lacks the column name. .*an empty one')):
            migration.sync(url)
        with one.begin() as connection:
            connection.exec_driver_sql('DROP TABLE instances')
    assert migration.sync(url)[1] == migration.known()[-1]


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
def test_a_step_that_the_server_refuses_is_named(database, engine):
    primary = database.cluster.primary
    schemas.upgrade(database.url, 'a1')
    if engine == 'mariadb':
        url, refusal = primary.url('computed_ro', database.name), (
            'ALTER command denied')
    else:
        primary.sql('ALTER TABLE compute_nodes OWNER TO postgres',
                    database=database.name)
        url, refusal = database.url, 'must be owner of table compute_nodes'
    with pytest.raises(exception.SchemaUpgradeFailed, match=(
            'at schema a2, step "add column compute_nodes.service_id": '
            f'.*{refusal}.* Correct the cause and run')):
        migration.sync(url)


@pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])
def test_a_replica_is_refused(database, engine):
    replica = database.cluster.replicas[0]
    with pytest.raises(exception.SchemaUpgradeFailed,
                       match='is read-only. Let .* name the primary'):
        migration.sync(replica.url(database=database.name))


def test_a_holder_that_lost_its_lock_changes_nothing(database):
    """As behind a proxy that gives the session to somebody else."""
    with migration._engine(database.url) as engine, \
            exclusive.turn(engine, 0) as turn:
        turn.connection.exec_driver_sql('SELECT RELEASE_ALL_LOCKS()')
        with pytest.raises(turns.Refused, match='has lost its lock'):
            schemas.upgrade_in(turn, 'head')
    assert database.sql("SHOW TABLES LIKE 'database_identity'") == []


def test_a_newer_schema_stays(tmp_path):
    path = tmp_path / 'x.sqlite'
    fixtures.make_sqlite(path)
    fixtures.SqlitePair.sql(path, "UPDATE alembic_version "
                            "SET version_num = 'z9'")
    before = path.read_bytes()
    done = prefork.run('computed.cmd.manage', *fixtures.write_config(
        tmp_path / 'computed.conf', {'connection': f'sqlite:///{path}'}),
        'db', 'sync')
    assert done.returncode == 0
    assert ('The schema is z9, which this release does not know' in
            done.stdout)
    assert path.read_bytes() == before
