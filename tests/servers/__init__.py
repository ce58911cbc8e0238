"""Private database servers on loopback, in a folder that is thrown away."""

from tests.servers.base import PATH
from tests.servers.base import Cluster
from tests.servers.base import Database
from tests.servers.base import free_port
from tests.servers.base import program
from tests.servers.mariadb import MariaDB
from tests.servers.mariadb import install_mariadb
from tests.servers.postgresql import PostgreSQL
from tests.servers.postgresql import install_postgresql

__all__ = ['PATH', 'Cluster', 'Database', 'MariaDB', 'PostgreSQL',
           'free_port', 'install_mariadb', 'install_postgresql', 'program']
