"""The question that each connection to the primary answers before each use.

After a failover the former primary may live on, read-only, and its sessions
may stay open. A pool would go on using them. So the pool's test of a
connection, which only asks whether the server answers, also asks which server
it is and whether it takes writes. The test takes place after the read was
asked and before its transaction begins, and costs no further round trip.
"""

import typing
import weakref

import sqlalchemy as sa
from oslo_log import log as logging

from computed.db.engine import server_sql

LOG = logging.getLogger(__name__)

# Runs one query on a connection of the driver, in no transaction.
Ask = typing.Callable[[typing.Any, str], typing.Any]


class PrimaryCheck:
    """Replaces the test that the pool of an engine does at each checkout.

    If a connection fails it, the pool closes all its connections and connects
    again, which may lead to another server.
    """

    def __init__(self, engine: sa.Engine, ask: Ask) -> None:
        """Use this test for every connection of ``engine``.

        :param ask: runs a query and returns its row
        """
        self._engine = engine
        self._ask = ask
        self._question = (
            f'SELECT {server_sql.identity(engine)},'
            f' {server_sql.takes_writes(engine)}')
        # The server of each open connection.
        self._servers: weakref.WeakKeyDictionary[typing.Any, str] = (
            weakref.WeakKeyDictionary())
        self._answers = engine.dialect.do_ping
        # Only this method of the dialect tests a connection.
        engine.dialect.do_ping = self._test   # type: ignore[method-assign]

    def connected(self, connection: typing.Any) -> tuple[str, bool]:
        """Ask a new connection, and remember its server.

        :returns: the identity of the server, and whether it takes writes
        """
        server, writable = self._ask(connection, self._question)
        self._servers[connection] = server
        return server, bool(writable)

    def _test(self, dbapi_connection: typing.Any) -> bool:
        """Return whether a connection may be used."""
        server = self._servers.get(dbapi_connection)
        if server is None:
            # Galera: reads wait for the commits of all nodes.
            return self._answers(dbapi_connection)
        answer = self._ask(dbapi_connection, self._question)
        if tuple(answer) == (server, True):
            return True
        LOG.warning('%(server)s is not a primary that takes writes any more. '
                    'All connections to it are closed.', {'server': server})
        return False
