"""What only PostgreSQL does: how it names errors, cancels and compares."""

import re
import threading
import time

import psycopg
import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import engines as oslo_engines

from computed.db.cell import migration
from computed.db.cell import models
from computed.db.engine import address
from computed.db.engine import deadline
from computed.db.engine import dialects
from computed.db.engine import errors
from computed.db.engine import server_sql
from computed.db.engine import setup
from computed.db.routing import transaction
from tests.support import schemas
from tests.support import waiting


@pytest.fixture
def engine():
    return 'postgresql'


@pytest.fixture
def connect(database):
    """Makes an engine as the service does."""
    made = []

    def make(url=None, timeout=2):
        found = oslo_engines.create_engine(
            address.prepare(url or database.url, timeout), max_retries=0)
        setup.tune(found)
        made.append(found)
        return found
    yield make
    for found in made:
        found.dispose()


@pytest.fixture
def schema(database):
    schemas.fill(database.url)
    database.caught_up()
    return database


def test_a_record_that_nobody_committed_keeps_no_standby_behind(schema):
    # What a read that is rolled back has left in the log, hint bits say, is
    # flushed by whole pages, perhaps to the midst of a record: no standby
    # gets that far until somebody commits.
    primary = schema.cluster.primary
    primary.sql(
        'BEGIN',
        "SELECT pg_logical_emit_message(false, 'rest', repeat('-', 20000))",
        'ROLLBACK')
    waiting.wait_for(lambda: primary.sql(
        "SELECT (pg_current_wal_flush_lsn() - '0/0') % 8192") == [(0,)])
    schema.caught_up()


def identity(found):
    with found.connect() as connection:
        return connection.info['identity']


def test_every_text_is_ordered_bytewise_whatever_the_locale(
        database, connect):
    database.cluster.primary.drop_database(database.name)
    database.cluster.primary.sql(
        f"CREATE DATABASE {database.name} OWNER computed TEMPLATE template0 "
        "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    migration.sync(database.url)
    assert database.sql(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND "
        "data_type IN ('text', 'character varying') AND "
        "collation_name IS DISTINCT FROM 'C'") == []
    row = models.Host
    with connect().begin() as connection:
        for name in ('b', 'a', 'B', '_'):
            connection.execute(sa.insert(row).values(
                name=name, revision=0, created_at=dialects.utcnow()))
        assert connection.scalars(
            sa.select(row.name).where(row.name != models.NO_HOST)
            .order_by(row.name)).all() == ['B', '_', 'a', 'b']


def test_the_clock_is_naive_utc_to_the_second(schema, connect):
    with connect().connect() as connection:
        connection.execute(sa.text("SET timezone TO 'Asia/Kathmandu'"))
        now = connection.scalar(sa.select(dialects.utcnow()))
    assert now.tzinfo is None and now.microsecond == 0
    assert abs(now.timestamp() - time.time() - time.timezone) < 5


def test_each_server_is_told_apart_by_a_plain_account(schema, connect):
    cluster = schema.cluster
    found = [identity(connect(server.url('computed_ro', schema.name)))
             for server in cluster.servers]
    assert len(set(found)) == 3
    assert found[0] == identity(connect(
        schema.url.replace('127.0.0.1', 'localhost')))


def test_the_question_who_a_server_is_looks_like_any_other_read(schema):
    """To a proxy that splits reads from writes, by what functions may do."""
    sql = server_sql.IDENTITY['postgresql'].lower()
    names = set(re.findall(r'(\w+)\(', sql))
    found = dict(schema.sql(
        'SELECT proname, max(provolatile) FROM pg_proc WHERE proname IN ('
        + ', '.join(f"'{name}'" for name in names) + ') GROUP BY proname'))
    assert found.keys() == names
    assert 'v' not in found.values()


def test_a_write_on_a_standby_is_known_to_be_refused(schema, connect):
    standby = schema.cluster.replicas[0]
    with connect(standby.url(database=schema.name)).connect() as connection:
        with pytest.raises(db_exc.DBError) as refused:
            connection.execute(sa.update(models.DatabaseIdentity).values(id=1))
    assert transaction.is_read_only(refused.value)


def test_a_server_that_is_not_there_is_a_connection_error(connect):
    with pytest.raises(db_exc.DBConnectionError):
        connect('postgresql+psycopg://x:x@127.0.0.1:1/x').connect()


def test_a_session_that_is_ended_is_a_connection_error(schema, connect):
    with connect().connect() as connection:
        pid = connection.scalar(sa.text('SELECT pg_backend_pid()'))
        schema.sql(f'SELECT pg_terminate_backend({pid})')
        with pytest.raises(db_exc.DBConnectionError):
            connection.execute(sa.text('SELECT 1'))


def test_a_statement_that_takes_too_long_is_stopped_by_the_server(
        schema, connect):
    with connect(timeout=1).connect() as connection:
        with pytest.raises(sa.exc.OperationalError) as stopped:
            connection.execute(sa.text('SELECT pg_sleep(60)'))
    assert errors.sqlstate(stopped.value) == transaction.CANCELLED


def test_transactions_that_wait_for_one_another_are_a_deadlock(
        schema, connect):
    schema.sql("INSERT INTO hosts VALUES ('a', 0, now()), ('b', 0, now())")
    found, errors = connect(timeout=20), []
    meet = threading.Barrier(2)

    def lock(first, second):
        row = models.Host
        try:
            with found.begin() as connection:
                connection.execute(sa.update(row).where(row.name == first)
                                   .values(revision=1))
                meet.wait(60)
                connection.execute(sa.update(row).where(row.name == second)
                                   .values(revision=1))
        except db_exc.DBDeadlock as error:
            errors.append(error)

    threads = [threading.Thread(target=lock, args=names)
               for names in (('a', 'b'), ('b', 'a'))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 1


def test_a_change_beneath_a_transaction_is_to_be_repeated(schema, connect):
    found = connect()
    with found.connect().execution_options(
            isolation_level='REPEATABLE READ') as connection:
        connection.execute(sa.select(models.DatabaseIdentity)).all()
        schema.sql("UPDATE database_identity SET uuid = 'x'")
        with pytest.raises(db_exc.DBDeadlock):
            connection.execute(sa.update(models.DatabaseIdentity).values(
                uuid='y'))


@pytest.mark.parametrize('timeout', [1, 2])
def test_a_frozen_server_is_left_in_time(schema, connect, timeout):
    standby = schema.cluster.replicas[0]
    found = connect(standby.url('computed_ro', schema.name), timeout)
    with found.connect() as connection:
        standby.freeze()
        began = time.monotonic()
        with waiting.at_most(timeout + 10), pytest.raises(
                db_exc.DBConnectionError):
            connection.execute(sa.text('SELECT 1'))
        assert timeout <= time.monotonic() - began


def test_a_read_waits_no_longer_than_its_deadline_all_in_all(
        schema, connect):
    standby = schema.cluster.replicas[0]
    found = connect(standby.url('computed_ro', schema.name), 30)
    with found.connect() as connection:
        connection.execute(sa.text('SELECT 1'))
    standby.freeze()
    began = time.monotonic()
    with waiting.at_most(5), deadline.within(3), pytest.raises(
            db_exc.DBConnectionError):
        # the pool tests its connection, then would make another
        found.connect()
    assert time.monotonic() - began >= 3


def test_a_plain_account_may_not_come_in_as_the_superuser(database):
    with pytest.raises(psycopg.OperationalError, match='rejects'):
        psycopg.connect(host='127.0.0.1', user='postgres',
                        port=database.cluster.primary.port)
