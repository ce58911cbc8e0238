"""One database server: its connection pool, and what a replica must be."""

import dataclasses
import typing
from collections import abc

import sqlalchemy as sa
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event

from computed.db.engine import address
from computed.db.engine import setup

# Makes a connection of the driver to a URL, in place of the driver itself.
Creator = abc.Callable[[sa.URL], typing.Any]


class Node:
    """A server that queries can be sent to.

    :ivar role: ``primary`` or ``replica``
    :ivar name: the address, without credentials
    :ivar identity: the server last seen there; None if it is not known. A
        connection to any other server is not used.
    :ivar database_id: returns the only database to use there; empty: any
    """

    database_id: abc.Callable[[], str] = staticmethod(lambda: '')

    def __init__(self, url: address.Url, role: str,
                 timeout: float | None = None,
                 creator: Creator | None = None) -> None:
        """Make the node; the first query connects.

        :param timeout: seconds to wait for a connection or for an answer;
            None keeps the driver's own limits
        :param creator: makes each connection; None: the driver does
        """
        self.role = role
        self.name = address.show(url)
        self.identity: str | None = None
        self.url = address.prepare(url, timeout)
        self._creator = creator
        self.facade = enginefacade.transaction_context()
        self.facade.configure(
            connection=self.url.render_as_string(hide_password=False),
            # Else the library adds [database] slave_connection itself.
            slave_connection=None,
            # A node that is down must not delay the others.
            max_retries=0)
        self.facade.append_on_engine_create(self.prepare)
        self._engines = self.facade.writer

    @property
    def engine(self) -> sa.Engine:
        """Return the pool of connections; the first use makes it."""
        return self._engines.get_engine()

    def prepare(self, engine: sa.Engine) -> None:
        """Prepare the connections of an engine to this node."""
        if (creator := self._creator) is not None:
            # The first listener that returns a connection wins.
            event.listen(engine, 'do_connect',
                         lambda *details: creator(self.url))
        event.listen(engine, 'do_connect', self._log_in)
        setup.tune(engine, must_exist=creator is None,
                   strict=self.role == 'primary')

    def use_password(self, url: address.Url) -> bool:
        """Make new connections as the user in ``url``, with its password.

        :returns: False: ``url`` names another database, and is not used
        """
        new = sa.make_url(url)
        if address.server(new) != address.server(self.url):
            return False
        self.url = self.url.set(username=new.username, password=new.password)
        return True

    def _log_in(self, dialect: typing.Any, record: typing.Any,
                arguments: typing.Any,
                parameters: dict[str, typing.Any]) -> None:
        # The engine keeps what its URL was when it was made.
        _, current = dialect.create_connect_args(self.url)
        for name in ('user', 'password'):
            parameters.pop(name, None)
            if name in current:
                parameters[name] = current[name]

    def dispose(self) -> None:
        """Close every pooled connection; those in use close on return."""
        self.engine.dispose()


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a replica must be: a copy of this primary, with a known schema.

    :ivar identity: of the primary
    :ivar outdated: the schemas that this code cannot work with
    :ivar primary_away: the primary takes no heartbeats now, so every replica
        lags
    """

    database_id: str
    identity: str | None
    outdated: abc.Collection[str]
    primary_away: bool = False

    def unfit(self, found: abc.Mapping[str, typing.Any]) -> str | None:
        """Return why the node that answered ``found`` is unfit, or None."""
        if found['database_id'] != self.database_id:
            return 'belongs to another database'
        if found['identity'] == self.identity:
            return 'is the primary itself'
        schema = found['schema_revision']
        if schema is None or schema in self.outdated:
            return f'has schema {schema}, too old'
        return None
