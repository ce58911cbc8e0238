"""A cluster of each engine for the session, a database for each test."""

import itertools

import pytest

from tests import servers
from tests.support import cell as cell_module
from tests.support import fixtures
from tests.support import schemas

_numbers = itertools.count(1)


@pytest.fixture(scope='session')
def mariadb_data(server_folder):
    """The data folder that every MariaDB server begins with."""
    folder = server_folder / 'installed'
    servers.install_mariadb(folder)
    return folder


@pytest.fixture(scope='session')
def mariadb_cluster(server_folder, mariadb_data):
    """A primary and two replicas, started once."""
    with servers.started('mariadb', server_folder, lambda folder:
                         servers.mariadb_cluster(folder, mariadb_data)
                         ) as cluster:
        yield cluster


@pytest.fixture(scope='session')
def postgresql_data(server_folder):
    """The data folder that every PostgreSQL server begins with."""
    folder = server_folder / 'initdb'
    servers.install_postgresql(folder)
    return folder


@pytest.fixture(scope='session')
def postgresql_cluster(server_folder, postgresql_data):
    """A primary and two standbys, started once."""
    with servers.started('postgresql', server_folder, lambda folder:
                         servers.postgresql_cluster(folder, postgresql_data)
                         ) as cluster:
        yield cluster


@pytest.fixture(scope='session')
def galera_cluster(server_folder, mariadb_data):
    """Three nodes, each of which takes writes, started once."""
    with servers.started('galera', server_folder, lambda folder:
                         servers.GaleraCluster.make(folder, mariadb_data)
                         ) as cluster:
        yield cluster


@pytest.fixture
def engine():
    """Which make of database; a test may be parametrised with others."""
    return 'mariadb'


@pytest.fixture
def database(engine, request):
    """Make a new, empty database that every replica has.

    After the test, servers that it froze, killed or stopped run again.
    """
    cluster = request.getfixturevalue(f'{engine}_cluster')
    database = servers.Database(f'computed_{next(_numbers)}', cluster)
    cluster.primary.create_database(database.name)
    cluster.caught_up()
    yield database
    cluster.mend()
    cluster.primary.drop_database(database.name)


@pytest.fixture
def schema(database):
    """A database with one instance, whose vcpus count up."""
    schemas.fill(database.url)
    fixtures.add_counter(database)
    database.caught_up()
    return database


@pytest.fixture
def cell(tmp_path, rabbitmq):
    found = cell_module.Cell(tmp_path, rabbitmq)
    yield found
    if not rabbitmq.is_running:
        rabbitmq.start()
    found.clean_up()


@pytest.fixture
def address(cluster):
    """It leads to the primary of the ``cluster`` that a file makes."""
    found = servers.Forwarder(cluster.primary.port)
    yield found
    found.close()
