"""What PostgreSQL's driver needs, to be as dependable as the others are.

Only an engine on PostgreSQL loads this: psycopg is an extra.
"""

import psycopg
import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import exc_filters

from computed.db.engine import setup as engines

DEADLOCK = {'40001', '40P01'}
# The server ends, or does not serve yet: 57P01 admin_shutdown and others.
GOING_AWAY = {'57P01', '57P02', '57P03', '57P05'}


class Connection(psycopg.Connection):
    """A connection that waits for a server no longer than it is patient.

    The server's ``statement_timeout`` cannot do it, for a server that is
    frozen does not look at its clock; nor can TCP, for its kernel still
    acknowledges all that is sent.

    :ivar patience: seconds to wait for an answer; None for ever
    """

    patience: float | None = None

    def wait(self, gen, interval=0.1, timeout=None):
        """As the library's, which has no limit of its own."""
        timeout = timeout or allowed(self.patience)
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError:
            # Left amid a statement it is of no further use.
            if self.pgconn.transaction_status == (
                    psycopg.pq.TransactionStatus.ACTIVE):
                self.close()
            raise


def allowed(patience):
    """Seconds that a wait may take, by ``patience`` and the deadline.

    :raises psycopg.OperationalError: none are left
    """
    left = engines.time_left()
    if left == 0:
        raise psycopg.OperationalError(engines.TIME_IS_OVER)
    limits = [limit for limit in (left, patience) if limit is not None]
    return min(limits, default=None)


def connect(dialect, record, arguments, parameters):
    """A listener of ``do_connect``: how every connection is made.

    :raises oslo_db.exception.DBConnectionError: there is none; oslo.db would
        know by messages that psycopg 3 does not write
    """
    patience = parameters.get('connect_timeout')
    patience = float(patience) if patience else None
    try:
        limit = allowed(patience)
        if limit is not None:
            parameters['connect_timeout'] = max(1, round(limit))
        made = Connection.connect(*arguments, **parameters)
    except psycopg.OperationalError as error:
        raise db_exc.DBConnectionError(error) from error
    made.patience = patience
    return made


@exc_filters.filters('postgresql', sa.exc.OperationalError, '')
def translate(error, match, engine_name, is_disconnect):
    """Tell apart what oslo.db would pass on as any other error.

    :raises oslo_db.exception.DBDeadlock: the transaction is to be repeated
    :raises oslo_db.exception.DBConnectionError: the server ends
    """
    state = engines.sqlstate(error)
    if state in DEADLOCK:
        raise db_exc.DBDeadlock(error)
    if state in GOING_AWAY:
        raise db_exc.DBConnectionError(error)
