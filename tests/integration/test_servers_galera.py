"""The Galera cluster that other tests trust: does it do what it says?"""

import contextlib

import pymysql
import pytest

from tests.support import waiting


@pytest.fixture
def engine():
    return 'galera'


@pytest.fixture
def table(database):
    database.sql('CREATE TABLE t (n INT PRIMARY KEY)')
    database.caught_up()
    return database


def rows(node, database):
    """What a node has once it has applied all that is committed."""
    return node.sql('SET wsrep_sync_wait=7',
                    f'SELECT n FROM {database.name}.t ORDER BY n')


def test_every_node_takes_writes_and_has_those_of_the_others(table):
    nodes = table.cluster.servers
    for number, node in enumerate(nodes):
        node.sql(f'INSERT INTO {table.name}.t VALUES ({number})')
    for node in nodes:
        assert rows(node, table) == [(0,), (1,), (2,)]


def test_the_accounts_are_those_of_every_mariadb(table):
    for node in table.cluster.servers:
        with contextlib.closing(pymysql.connect(
                host='127.0.0.1', port=node.port, user='computed_ro',
                password='computed_ro', database=table.name)) as connection:
            with pytest.raises(pymysql.err.OperationalError, match='denied'):
                connection.cursor().execute('INSERT INTO t VALUES (1)')


@pytest.mark.parametrize('fault', ['kill', 'isolate'])
def test_a_node_that_was_away_gets_what_it_missed(table, fault):
    first, second, third = table.cluster.servers
    getattr(third, fault)()
    waiting.wait_for(lambda: first.is_whole(2), 20, 'two nodes left')
    first.sql(f'INSERT INTO {table.name}.t VALUES (1)')
    table.cluster.mend()
    assert rows(third, table) == rows(second, table) == [(1,)]


def test_an_isolated_node_refuses_both_reads_and_writes(table):
    node = table.cluster.replicas[0]
    node.isolate()
    for statement in ('SELECT * FROM t', 'INSERT INTO t VALUES (1)'):
        with pytest.raises(pymysql.err.OperationalError, match='1047'):
            node.sql(statement, database=table.name)


def test_a_node_that_does_not_apply_shows_old_data_and_holds_up_nobody(
        table):
    first, second, _ = table.cluster.servers
    second.stop_applying()
    first.sql(f'INSERT INTO {table.name}.t VALUES (1)')
    assert second.status('local_state_comment') == 'Donor/Desynced'
    assert second.sql(f'SELECT n FROM {table.name}.t') == []
    second.start_applying()
    assert rows(second, table) == [(1,)]


def test_a_desynchronised_node_takes_writes(table):
    node = table.cluster.replicas[0]
    node.desync()
    assert node.status('local_state_comment') == 'Donor/Desynced'
    node.sql(f'INSERT INTO {table.name}.t VALUES (1)')
    assert rows(table.cluster.primary, table) == [(1,)]
