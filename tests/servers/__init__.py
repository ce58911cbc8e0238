"""Private database servers on loopback, in a folder that is thrown away."""

from tests.servers.base import PATH
from tests.servers.base import Cluster
from tests.servers.base import Database
from tests.servers.base import free_port
from tests.servers.base import program
from tests.servers.clock import Clock
from tests.servers.clusters import mariadb_cluster
from tests.servers.clusters import postgresql_cluster
from tests.servers.forwarder import Forwarder
from tests.servers.galera import Galera
from tests.servers.galera import GaleraCluster
from tests.servers.mariadb import MariaDB
from tests.servers.mariadb import install_mariadb
from tests.servers.postgresql import PostgreSQL
from tests.servers.postgresql import install_postgresql
from tests.servers.proxy import TO_CLIENT
from tests.servers.proxy import TO_SERVER
from tests.servers.proxy import Proxy
from tests.servers.starting import NotStarted
from tests.servers.starting import started

__all__ = ['PATH', 'TO_CLIENT', 'TO_SERVER', 'Clock', 'Cluster', 'Database',
           'Forwarder', 'Galera', 'GaleraCluster', 'MariaDB', 'NotStarted',
           'PostgreSQL', 'Proxy', 'free_port', 'install_mariadb',
           'install_postgresql', 'mariadb_cluster', 'postgresql_cluster',
           'program', 'started']
