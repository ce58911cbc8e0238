"""computed-status upgrade check on real servers."""

import dataclasses

import pytest

from computed.cmd import status
from computed.db.cell import migration
from computed.db.engine import inspect
from tests.support import schemas
from tests.support import waiting

pytestmark = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])


@pytest.fixture
def schema(database):
    schemas.fill(database.url)
    database.caught_up()
    return database


def look(url, timeout=5):
    return inspect.look(url, timeout)


def test_a_healthy_cluster_is_ready(schema):
    primary = look(schema.url)
    replicas = [look(url) for url in schema.replica_urls]
    for result in (status.schema(primary, migration.NEEDED,
                                 migration.known()),
                   status.reachable(replicas), status.fit(primary, replicas),
                   status.clocks(primary, replicas),
                   status.oldest_service(primary, '0.1.0')):
        assert result.code == status.SUCCESS, result.details
    assert [(found.replicating, found.may_write)
            for found in (primary, *replicas)] == [
        (False, True), (True, False), (True, False)]


def test_nothing_is_said_beside_the_result(schema, caplog):
    migration.sync(schema.url)
    look(schema.url)
    assert [found.getMessage() for found in caplog.records
            if found.levelname == 'WARNING'] == []


def test_what_the_servers_say_of_a_bad_replica(schema):
    primary = look(schema.url)
    cluster = schema.cluster
    # the primary under another name, an account that may write, and a
    # database that is not replicated
    twin = look(schema.url.replace('127.0.0.1', 'localhost'))
    assert 'is the primary itself' in status.fit(primary, [twin]).details
    writer = look(cluster.replicas[0].url(database=schema.name))
    assert status.fit(primary, [writer]).code == status.WARNING
    assert writer.may_write


def test_another_database_is_told_from_a_replica(schema):
    cluster = schema.cluster
    cluster.primary.create_database('computed_other')
    try:
        url = cluster.primary.url(database='computed_other')
        schemas.fill(url)
        found = status.fit(look(schema.url), [
            dataclasses.replace(look(url), identity='another')])
        assert (found.code, 'another database' in found.details) == (
            status.FAILURE, True)
    finally:
        cluster.primary.drop_database('computed_other')


def test_a_server_that_accepts_writes_is_no_replica(schema):
    primary = look(schema.url)
    replica = look(schema.replica_urls[0])
    assert (primary.replicating, replica.replicating) == (False, True)
    found = status.fit(primary, [dataclasses.replace(
        replica, replicating=primary.replicating)])
    assert found.code == status.FAILURE


def test_replicas_that_are_dead_or_frozen_are_found_out_in_time(schema):
    first, second = schema.cluster.replicas
    first.kill()
    second.freeze()
    with waiting.at_most(20):
        replicas = [look(url, 2) for url in schema.replica_urls]
    assert all(found.error for found in replicas)
    assert status.reachable(replicas).code == status.WARNING
