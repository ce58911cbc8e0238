"""A database, as its query functions see it.

Query functions are decorated with :meth:`Database.read`, ``write`` or
``liveness``. They find ``context.connection`` open on the server that the
router chooses.
"""

import functools
import math
import typing
from collections import abc

from computed import context as computed_context

if typing.TYPE_CHECKING:
    from computed.db.routing import router as router_module

Query = abc.Callable[..., typing.Any]
# A query keeps its signature when it is decorated.
Q = typing.TypeVar('Q', bound=Query)


class Database:
    """One of the databases that this process runs queries on.

    :ivar name: tells one database from another in logs and debuggers
    :ivar router: chooses a server for each read and write; there is none
        until :meth:`configure`
    :ivar max_page: returns the highest number of rows in a page
    :ivar down_after: returns the seconds of silence after which another
        service may take a host
    :ivar silent_after: returns the seconds of silence after which operators
        may decide without a host
    :ivar of_host: the functions of :meth:`read_of_host`
    :ivar announce: called with what a write wants to be told, once it is
        committed; it neither fails nor waits. None: nobody listens
    :ivar deliver: called with a list of what must arrive; returns for each
        whether it was sent, or None if there was no time. None: nobody
        listens
    """

    router: 'router_module.Router'
    max_page: abc.Callable[[], int]
    down_after: abc.Callable[[], float]
    silent_after: abc.Callable[[], float]

    def __init__(self, name: str) -> None:
        self.name = name
        self.of_host: list[Query] = []
        self.announce: abc.Callable[[typing.Any], object] | None = None
        self.deliver: abc.Callable[
            [list[typing.Any]], list[bool | None]] | None = None

    def __repr__(self) -> str:
        return f'<database {self.name}>'

    def configure(self, router: 'router_module.Router',
                  max_page: abc.Callable[[], int],
                  down_after: abc.Callable[[], float] = lambda: math.inf,
                  silent_after: abc.Callable[[], float] | None = None,
                  ) -> None:
        """Send the queries of this database to the servers of ``router``.

        :param max_page: called for each page, so that a reload takes effect
        :param down_after: called for each decision. Without it no service
            may take the host of another.
        :param silent_after: as ``down_after``; None: the same
        """
        self.router, self.max_page = router, max_page
        self.down_after = down_after
        self.silent_after = silent_after or down_after

    @property
    def database_id(self) -> str:
        """Return the uuid of the database; empty until a conductor reads it.
        """
        return self.router.incarnation.database_id

    def read(self, function: Q, covered: bool = False) -> Q:
        """Let a query function run on any node that its context allows.

        :param covered: see :meth:`read_of_host`
        """
        query = query_name(function)

        @functools.wraps(function)
        def wrapper(context: computed_context.RequestContext,
                    *args: typing.Any, **kwargs: typing.Any) -> typing.Any:
            return self.router.read(query, functools.partial(
                function, context, *args, **kwargs), context, covered)
        return typing.cast(Q, wrapper)

    def read_of_host(self, function: Q) -> Q:
        """Do the same as :meth:`read`, for rows that a revision covers.

        Each change of a row that the query reads raises the revision of the
        host in its argument ``host``. So with ``after='host'`` an answer of a
        replica is as new as one of the primary, and says so. The answer of
        any other query then has every change of the host, but is as old as
        the replica.
        """
        self.of_host.append(function)
        return self.read(function, covered=True)

    def write(self, function: Q, heartbeat: bool = False) -> Q:
        """Let a statement function run in a transaction on the primary.

        :param heartbeat: see :meth:`liveness`
        :raises computed.exception.ReadOnlyScope: in a lag-tolerant context
            or inside a read
        :raises computed.exception.PrimaryUnavailable: nothing was written
        :raises computed.exception.PrimaryReadOnly: nothing was written
        :raises computed.exception.WriteConflict: nothing was written
        :raises computed.exception.CommitUnknown: the commit got no answer
        """
        name = function.__name__.lstrip('_')

        @functools.wraps(function)
        def wrapper(context: computed_context.RequestContext,
                    *args: typing.Any, **kwargs: typing.Any) -> typing.Any:
            return self.router.write(name, functools.partial(
                function, context, *args, **kwargs), context, heartbeat)
        return typing.cast(Q, wrapper)

    def liveness(self, function: Q) -> Q:
        """Do the same as :meth:`write`, on connections for heartbeats only.

        So a heartbeat never waits behind queries. The heartbeats of the
        conductor itself go through its router.
        """
        return self.write(function, heartbeat=True)

    def record_revision(self, context: computed_context.RequestContext,
                        host: str | None, revision: int | None) -> None:
        """Record that the rows just read or written have this revision.

        Call it inside a query function. On a read, the revision must come
        from the same statement as the rows. Otherwise a change between two
        statements is missed.
        """
        # SQLite can have anything in the column.
        if host is not None and isinstance(revision, int):
            context.db_scope.revisions[host] = revision

    def undo(self, context: computed_context.RequestContext) -> None:
        """Roll back the open write, because no part of it was needed.

        Its revisions are forgotten too: no node ever reaches a revision that
        was rolled back.
        """
        context.db_scope.undone = True
        context.db_scope.revisions.clear()
        context.db_scope.afterwards.clear()


def query_name(function: Query) -> str:
    """Return the name of a query function in metrics: ``host.get``."""
    module = function.__module__.rpartition('.')[2]
    return f'{module}.{function.__name__.lstrip("_")}'
