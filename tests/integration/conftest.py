"""One MariaDB cluster for the session, one database for each test."""

import itertools
import pathlib
import tempfile

import pytest

from tests import servers

_numbers = itertools.count(1)


@pytest.fixture(scope='session')
def server_folder():
    """A private folder with a short name, gone at the end."""
    # a socket's path may have 107 bytes; pytest's own folders are deep
    with tempfile.TemporaryDirectory(prefix='computed-') as folder:
        yield pathlib.Path(folder)


@pytest.fixture(scope='session')
def mariadb_data(server_folder):
    """The data folder that every MariaDB server begins with."""
    folder = server_folder / 'installed'
    servers.install_mariadb(folder)
    return folder


@pytest.fixture(scope='session')
def mariadb_cluster(server_folder, mariadb_data):
    """A primary and two replicas, started once."""
    cluster = servers.Cluster(
        servers.MariaDB(server_folder / 'primary', mariadb_data, 1),
        [servers.MariaDB(server_folder / f'replica{n}', mariadb_data, 1 + n,
                         '--read-only=ON')
         for n in (1, 2)])
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def database(mariadb_cluster):
    """A new, empty database that every replica has.

    Servers that the test froze, killed or stopped are well again after it.
    """
    database = servers.Database(f'computed_{next(_numbers)}',
                                mariadb_cluster)
    mariadb_cluster.primary.sql(f'CREATE DATABASE {database.name}')
    mariadb_cluster.caught_up()
    yield database
    mariadb_cluster.mend()
    mariadb_cluster.primary.sql(f'DROP DATABASE {database.name}')
