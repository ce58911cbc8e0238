"""The servers that other tests trust: do they do what they say?"""

import contextlib
import os
import subprocess
import sys
import time

import pymysql
import pytest

from tests import servers
from tests.servers import remains
from tests.support import waiting


def connect(server, database, user='computed', **options):
    return contextlib.closing(pymysql.connect(
        host='127.0.0.1', port=server.port, user=user, password=user,
        database=database.name, autocommit=True, **options))


def run(connection, statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


@pytest.fixture
def table(database):
    with connect(database.cluster.primary, database) as writer:
        run(writer, 'CREATE TABLE t (n INT PRIMARY KEY)')
    database.caught_up()
    return database


def rows(server, database):
    return server.sql(f'SELECT n FROM {database.name}.t ORDER BY n')


def test_a_row_of_the_primary_reaches_every_replica(table):
    with connect(table.cluster.primary, table) as writer:
        run(writer, 'INSERT INTO t VALUES (1)')
    table.caught_up()
    for replica in table.cluster.replicas:
        assert rows(replica, table) == [(1,)]


def test_each_test_begins_with_an_empty_database(database):
    with connect(database.cluster.primary, database) as reader:
        assert run(reader, 'SHOW TABLES') == []


def test_the_replica_account_reads_and_cannot_write(table):
    for server in table.cluster.servers:
        refused = pytest.raises(pymysql.err.OperationalError,
                                match='denied|read-only')
        with connect(server, table, 'computed_ro') as reader:
            assert run(reader, 'SELECT * FROM t') == []
            with refused:
                run(reader, 'INSERT INTO t VALUES (1)')


def test_a_replica_refuses_the_writer_as_read_only(table):
    with connect(table.cluster.replicas[0], table) as writer, \
            pytest.raises(pymysql.err.OperationalError, match='read-only'):
        run(writer, 'INSERT INTO t VALUES (1)')


def test_root_comes_in_by_the_socket_only(database):
    with pytest.raises(pymysql.err.OperationalError, match='denied'):
        pymysql.connect(host='127.0.0.1', user='root',
                        port=database.cluster.primary.port)


def test_a_stopped_applier_leaves_that_replica_behind(table):
    behind, current = table.cluster.replicas
    behind.stop_applying()
    table.cluster.primary.sql(f'INSERT INTO {table.name}.t VALUES (1)')
    current.caught_up(table.cluster.primary)
    assert rows(behind, table) == []
    assert rows(current, table) == [(1,)]
    with pytest.raises(AssertionError, match='not within'):
        behind.caught_up(table.cluster.primary, seconds=0.1)
    behind.start_applying()
    behind.caught_up(table.cluster.primary)
    assert rows(behind, table) == [(1,)]


def test_a_frozen_server_hangs_and_a_thawed_one_goes_on(table):
    replica = table.cluster.replicas[0]
    with connect(replica, table, read_timeout=0.3) as reader:
        replica.freeze()
        with pytest.raises(pymysql.err.OperationalError, match='timed out'):
            run(reader, 'SELECT 1')
    replica.thaw()
    assert rows(replica, table) == []


def test_a_killed_primary_comes_back_with_what_it_had_committed(table):
    primary = table.cluster.primary
    with connect(primary, table) as writer:
        run(writer, 'INSERT INTO t VALUES (1)')
        primary.kill()
        with pytest.raises(pymysql.err.OperationalError):
            run(writer, 'SELECT 1')
    with pytest.raises(pymysql.err.OperationalError, match='refused'):
        connect(primary, table)
    primary.start()
    assert rows(primary, table) == [(1,)]
    primary.sql(f'INSERT INTO {table.name}.t VALUES (2)')
    table.caught_up()
    assert rows(table.cluster.replicas[1], table) == [(1,), (2,)]


def test_the_cluster_mends_after_a_test_that_broke_it(table):
    cluster = table.cluster
    cluster.replicas[0].freeze()
    cluster.replicas[1].kill()
    cluster.mend()
    cluster.primary.sql(f'INSERT INTO {table.name}.t VALUES (1)')
    cluster.caught_up()
    assert [rows(server, table) for server in cluster.servers] == [[(1,)]] * 3


def test_the_log_counts_the_statements_of_one_user_only(table):
    primary = table.cluster.primary
    with connect(primary, table) as writer, \
            connect(primary, table, 'computed_ro') as reader:
        primary.clear_log()
        run(writer, 'INSERT INTO t VALUES (1)')
        run(reader, 'SELECT n FROM t')
        thread = writer.thread_id()
    waiting.wait_for(lambda: (thread, 'Quit', '') in primary.statements())
    assert primary.statements() == [
        (thread, 'Query', 'INSERT INTO t VALUES (1)'), (thread, 'Quit', '')]
    assert [command for _, command, _ in primary.statements('computed_ro')
            ] == ['Query', 'Quit']
    primary.clear_log()
    assert primary.statements() == []


def test_a_replicas_log_does_not_disturb_replication(table):
    replica = table.cluster.replicas[0]
    replica.clear_log()
    with connect(replica, table, 'computed_ro') as reader:
        run(reader, 'SELECT n FROM t')
    assert 'SELECT n FROM t' in [
        argument for _, _, argument in replica.statements('computed_ro')]
    table.cluster.primary.sql(f'INSERT INTO {table.name}.t VALUES (1)')
    table.caught_up()
    assert rows(replica, table) == [(1,)]


@pytest.mark.parametrize('engine', ['postgresql'])
def test_a_killed_server_leaves_no_shared_memory(database):
    primary = database.cluster.primary
    [[kind]] = primary.sql('SHOW dynamic_shared_memory_type')
    assert kind == 'mmap'       # files in the folder of the server
    assert remains.segments(primary.process.pid)
    primary.kill()
    assert remains.segments(primary.process.pid) == []


NOW = """
import logging, time
record = logging.LogRecord('x', logging.INFO, '', 0, '', (), None)
print(time.time(), time.time_ns() / 10 ** 9, record.created)
"""


def test_each_wall_clock_of_a_program_jumps(tmp_path):
    clock = servers.Clock(tmp_path / 'clock')
    clock.jump(3 * 3600)
    began = time.time()
    done = subprocess.run(
        [sys.executable, '-c', NOW], capture_output=True, text=True,
        check=True, env=os.environ | clock.for_python)
    jumps = [float(said) - began for said in done.stdout.split()]
    assert [round(jump / 3600) for jump in jumps] == [3, 3, 3]
