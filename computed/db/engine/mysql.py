"""How MySQL, MariaDB and Galera are used."""

import typing

import sqlalchemy as sa
from sqlalchemy import event

from computed.db.engine import deadline

# Galera: one row with the cluster that the server belongs to. Other servers
# have an empty value, and MySQL, which lacks the variable, has no row.
CLUSTER = "SHOW STATUS LIKE 'wsrep_cluster_state_uuid'"
# A server that becomes read-only waits for the open transactions, and their
# next write waits for the server. After 2 s that write fails and its
# transaction is rolled back.
GIVE_WAY = 'SET SESSION lock_wait_timeout = 2'
# Before each statement the node applies all commits of the other nodes. It
# is a variable of the session, so each connection sets it once.
WAIT_FOR_OTHERS = 'SET SESSION wsrep_sync_wait = 7'


def tune(engine: sa.Engine) -> None:
    """Prepare ``engine``."""
    event.listen(engine, 'do_connect', _refuse_after_deadline)


def tune_connection(cursor: typing.Any, strict: bool) -> str | None:
    """Prepare a connection.

    :param strict: a read on Galera waits for the commits of other nodes
    :returns: the Galera cluster of the server, or None
    """
    cluster = _cluster(cursor)
    cursor.execute(GIVE_WAY)
    if cluster and strict:
        cursor.execute(WAIT_FOR_OTHERS)
    return cluster


def _cluster(cursor: typing.Any) -> str | None:
    cursor.execute(CLUSTER)
    found = cursor.fetchone()
    return found[1] or None if found else None


def _refuse_after_deadline(dialect: typing.Any, record: typing.Any,
                           arguments: typing.Any,
                           parameters: typing.Any) -> None:
    # When the test of a pooled connection runs out of time, the pool makes
    # another connection, which would wait as long again.
    if deadline.time_left() == 0:
        raise dialect.loaded_dbapi.OperationalError(
            2013, deadline.TIME_IS_OVER)
