"""A primary and two replicas of each engine, started for one program."""

import contextlib

from computed.db.cell import migration
from tests import servers
from tests.benchmarks import databases


def mariadb(folder):
    return running(servers.mariadb_cluster(folder))


def postgresql(folder):
    return running(servers.postgresql_cluster(folder))


@contextlib.contextmanager
def running(cluster):
    """A database on the cluster, with one instance on one host."""
    try:
        cluster.start()
        cluster.primary.create_database('computed_bench')
        database = servers.Database('computed_bench', cluster)
        migration.sync(database.url)
        databases.Database('', None, database.url, None).fill('host-1', 1)
        cluster.caught_up()
        yield database
    finally:
        cluster.stop()


KINDS = (mariadb, postgresql)
