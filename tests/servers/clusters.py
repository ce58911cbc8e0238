"""A primary and two replicas of each make, in one folder, stopped yet."""

from tests.servers.base import Cluster
from tests.servers.mariadb import MariaDB
from tests.servers.mariadb import install_mariadb
from tests.servers.postgresql import PostgreSQL
from tests.servers.postgresql import install_postgresql


def mariadb_cluster(folder, data=None):
    """:param data: what every server begins with; None: made here"""
    if data is None:
        data = folder / 'installed'
        install_mariadb(data)
    return Cluster(
        MariaDB(folder / 'primary', data, 1),
        [MariaDB(folder / f'replica{n}', data, 1 + n, '--read-only=ON')
         for n in (1, 2)])


def postgresql_cluster(folder, data=None):
    """:param data: what every server begins with; None: made here"""
    if data is None:
        data = folder / 'initdb'
        install_postgresql(data)
    primary = PostgreSQL(folder / 'pg', data)
    return Cluster(primary, [
        PostgreSQL(folder / f'standby{n}', data, primary) for n in (1, 2)])
