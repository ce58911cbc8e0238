"""The incarnation of a database: the history in which its revisions count.

After a restore, or after a failover to a replica that had not received
everything, the same revisions are given again for other changes. So a
revision that a caller has seen counts in one incarnation only.
"""

import functools
import math
import zlib
from collections import abc

import sqlalchemy as sa

from computed import chance
from computed import clock as system_clock
from computed import context as computed_context
from computed.db import witness
from computed.db.engine import address
from computed.db.engine import server_sql
from computed.db.engine import setup
from computed.db.routing import tables
from computed.db.routing import transaction

# More than the number of changes that one incarnation can lose. A new one
# raises each revision by a random multiple of it, so that no lost revision is
# given again: not even if two incarnations begin at the same revision, because
# a former primary came back. Otherwise a caller that had read a lost row could
# save it over another row with the same revision.
STRIDE = 2 ** 20
MULTIPLES = range(1, 2 ** 16)
# Seconds between two new ones that begin on the word of a host.
AGAIN_AFTER = 600.0
ROW = tables.database_identity.c


class Incarnation:
    """The incarnation of a database, as far as a conductor knows it.

    :ivar database_id: the uuid of the database; empty before it is known
    :ivar number: the incarnation, an opaque text; None before it is known
    :ivar witness: what this conductor has seen of the database
    """

    def __init__(self, clock: abc.Callable[[], float] = system_clock.monotonic
                 ) -> None:
        self.database_id = ''
        self.number: str | None = None
        self.witness = witness.Witness(
            kept=witness.KEPT_BY_CONDUCTORS)
        self._begun_at = -math.inf
        self._clock = clock
        self._since = clock()

    def adopt(self, number: str) -> None:
        """Note that the database is in incarnation ``number`` now."""
        # Its clock may never be read: the next failover may come before.
        self.witness.meet(number)
        if number != self.number:
            self.number, self._since = number, self._clock()

    def may_begin(self) -> bool:
        """Return whether a new one may begin on the word of a host.

        One host that errs, or lies, must not begin one after the other.
        """
        return self._clock() - self._begun_at >= AGAIN_AFTER

    def begun(self, number: str) -> None:
        """Note that one has begun, on the word of a host or without."""
        self._begun_at = self._clock()
        self.adopt(number)

    def age(self) -> float:
        """Return the seconds since this conductor first saw it."""
        return self._clock() - self._since


def resync_after(host: str, window: float, elapsed: float) -> float:
    """Return the seconds after which a host may read everything again.

    Each host has its own place in the window, so that hosts do not all read
    at once.

    :param window: seconds over which hosts are spread
    :param elapsed: seconds since the incarnation began
    """
    place = zlib.crc32(host.encode()) / 2 ** 32 * window
    return max(1.0, place - elapsed)


def verdict(known: tuple[str | None, str | None], lineage: str,
            drawn: str) -> tuple[str, str]:
    """Return the incarnation and lineage that the database should have.

    :param known: the incarnation and lineage in its row; each may be None
    :param lineage: the lineage of its present server
    :param drawn: the incarnation to use if a new one begins
    """
    number, former = known
    if number is None or former not in (None, lineage):
        number = drawn
    return number, lineage


def current(context: computed_context.RequestContext) -> str:
    """Return the incarnation, inside a writing transaction.

    A new one begins if this server has another lineage than the server
    before it. Changes that the former server committed may be missing here.

    :raises computed.db.routing.transaction.AnotherDatabase: this is not the
        database that the conductor began with
    """
    connection = context.connection
    lineage = lineage_of(connection)
    uuid, *row = connection.execute(_current()).one()
    transaction.ensure_database(context, uuid)
    known = tuple(row)
    wanted = verdict(known, lineage, chance.uuid())
    if wanted != known:
        # With the lock, only one conductor begins it. The others see it.
        known = tuple(connection.execute(sa.select(
            ROW.incarnation, ROW.lineage).with_for_update()).one())
        wanted = verdict(known, lineage, wanted[0])
        connection.execute(
            sa.update(tables.database_identity).values(
                incarnation=wanted[0], lineage=lineage))
        if known[0] not in (None, wanted[0]):
            connection.execute(stride())
    return wanted[0]


@functools.cache
def _current() -> sa.Select:
    return sa.select(ROW.uuid, ROW.incarnation, ROW.lineage)


def begin(context: computed_context.RequestContext,
          former: str) -> str | None:
    """Begin a new incarnation, inside a writing transaction.

    :param former: the one that ends
    :returns: the new one; None: another conductor has begun it
    """
    connection = context.connection
    found = connection.scalar(sa.select(ROW.incarnation).with_for_update())
    if found != former:
        return None
    number = chance.uuid()
    connection.execute(sa.update(tables.database_identity).values(
        incarnation=number))
    connection.execute(stride())
    return number


def stride() -> sa.Update:
    """Return a statement that raises all revisions beyond the lost ones."""
    return sa.update(tables.hosts).values(
        revision=tables.hosts.c.revision + STRIDE * chance.choice(MULTIPLES))


def confirm(context: computed_context.RequestContext) -> str:
    """Do a write that changes nothing; return the incarnation.

    Only a primary allows it. If the primary is another server than before, a
    new incarnation begins before anything else is written.

    :raises computed.db.routing.transaction.Divided: a proxy splits reads from
        writes
    """
    context.connection.execute(
        sa.update(tables.database_identity).values(id=ROW.id))
    transaction.ensure_undivided(context, context.connection.scalar(
        sa.select(server_sql.column(context.connection))))
    return current(context)


def lineage_of(connection: sa.Connection) -> str:
    """Return the lineage of the connected server; a failover changes it."""
    if 'lineage' not in connection.info:
        cluster = connection.info['cluster']
        connection.info['lineage'] = (
            f'cluster {cluster}' if cluster else connection.scalar(
                sa.text(f'SELECT {server_sql.lineage(connection.engine)}')))
    return connection.info['lineage']


def renew(url: address.Url) -> str:
    """Begin a new incarnation of a database that was restored.

    :returns: the new incarnation
    """
    engine = setup.single(address.prepare(url))
    setup.tune(engine, must_exist=True)
    number = chance.uuid()
    with engine.begin() as connection:
        connection.execute(sa.update(tables.database_identity).values(
            incarnation=number, lineage=lineage_of(connection)))
        connection.execute(stride())
    engine.dispose()
    return number
