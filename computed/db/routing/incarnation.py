"""The lives of a database: a number's meaning ends with the life it is of.

After a restore, or a failover to a replica that had not seen everything,
revisions are given a second time. So a revision that a caller has seen holds
only within one life of the database, called its incarnation.
"""

import time
import uuid
import zlib

import sqlalchemy as sa

from computed.db.engine import address
from computed.db.engine import server_sql
from computed.db.engine import setup
from computed.db.routing import tables

# Higher than the number of changes that can be lost with a life of the
# database. A revision that was given in it is not given again: who read a row
# that is lost cannot save it over another that has its revision.
STRIDE = 2 ** 20
ROW = tables.databases.c


class Incarnation:
    """The life that a conductor knows its database to be in.

    :ivar database_id: the uuid of the database; empty before it is known
    :ivar number: which life, an opaque text; None before it is known
    """

    def __init__(self, clock=time.monotonic):
        self.database_id = ''
        self.number = None
        self._clock = clock
        self._since = clock()

    def adopt(self, number):
        """It is in this life now."""
        if number != self.number:
            self.number, self._since = number, self._clock()

    def age(self):
        """Seconds since this life was first heard of here."""
        return self._clock() - self._since


def resync_after(host, window, elapsed):
    """Seconds after which a host may read everything anew. Pure.

    Each has its own place in the window, so that they do not come at once.

    :param window: seconds over which hosts are spread
    :param elapsed: seconds since the database entered its present life
    """
    place = zlib.crc32(host.encode()) / 2 ** 32 * window
    return max(1.0, place - elapsed)


def verdict(known, lineage, drawn):
    """What the row of the database should say. Pure.

    :param known: its incarnation and its lineage, each may be None
    :param lineage: of the server that it is on now
    :param drawn: a new incarnation, should one begin
    """
    number, former = known
    if number is None or former not in (None, lineage):
        number = drawn
    return number, lineage


def current(context):
    """The incarnation, inside a writing transaction.

    On a server of another lineage than the one it was on, a new one begins:
    something committed there may be missing here.
    """
    session = context.session
    lineage = lineage_of(session.connection())
    known = tuple(session.execute(
        sa.select(ROW.incarnation, ROW.lineage)).one())
    wanted = verdict(known, lineage, str(uuid.uuid4()))
    if wanted != known:
        # Only one conductor begins it; the others find it begun.
        known = tuple(session.execute(sa.select(
            ROW.incarnation, ROW.lineage).with_for_update()).one())
        wanted = verdict(known, lineage, wanted[0])
        session.execute(
            sa.update(tables.databases).values(
                incarnation=wanted[0], lineage=lineage))
        if known[0] not in (None, wanted[0]):
            session.execute(stride())
    return wanted[0]


def stride():
    """A statement that takes every host beyond its lost revisions."""
    return sa.update(tables.hosts).values(
        revision=tables.hosts.c.revision + STRIDE)


def lineage_of(connection):
    """What changes with a failover, of the server connected to."""
    if 'lineage' not in connection.info:
        cluster = connection.info['cluster']
        connection.info['lineage'] = (
            f'cluster {cluster}' if cluster else connection.scalar(
                sa.text(f'SELECT {server_sql.lineage(connection.engine)}')))
    return connection.info['lineage']


def renew(url):
    """Begin a new life of the database at ``url``: it was restored.

    :returns: the new incarnation
    """
    engine = setup.single(address.prepare(url))
    setup.tune(engine, must_exist=True)
    number = str(uuid.uuid4())
    with engine.begin() as connection:
        connection.execute(sa.update(tables.databases).values(
            incarnation=number, lineage=lineage_of(connection)))
        connection.execute(stride())
    engine.dispose()
    return number
