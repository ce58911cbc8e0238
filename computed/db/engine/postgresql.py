"""What psycopg needs to be as dependable as the other drivers.

Only an engine on PostgreSQL loads this module: psycopg is an extra.
"""

import typing

import psycopg
import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import exc_filters
from sqlalchemy import event

from computed.db.engine import deadline
from computed.db.engine import errors

DEADLOCK = {'40001', '40P01'}
# The server stops, or does not serve yet: 57P01 admin_shutdown and others.
GOING_AWAY = {'57P01', '57P02', '57P03', '57P05'}


class Connection(psycopg.Connection):
    """A connection that does not wait for ever for its server.

    The server's ``statement_timeout`` is not enough: a server that is frozen
    does not look at its clock. TCP is not enough either: the kernel of a
    frozen server still acknowledges all that is sent.

    :ivar patience: seconds to wait for an answer; None for ever
    """

    patience: float | None = None

    def wait(self, gen: typing.Any, interval: float = 0.1,
             timeout: float | None = None) -> typing.Any:
        """Wait as psycopg does, but not longer than allowed."""
        timeout = timeout or allowed(self.patience)
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError:
            # A connection that waits for an answer cannot be used again.
            if self.pgconn.transaction_status == (
                    psycopg.pq.TransactionStatus.ACTIVE):
                self.close()
            raise


def allowed(patience: float | None) -> float | None:
    """Return the seconds that a wait may take; None: there is no limit.

    :param patience: the limit of a single wait; the deadline is another
    :raises psycopg.OperationalError: the deadline has passed
    """
    left = deadline.time_left()
    if left == 0:
        raise psycopg.OperationalError(deadline.TIME_IS_OVER)
    limits = [limit for limit in (left, patience) if limit is not None]
    return min(limits, default=None)


def ask(connection: typing.Any, question: str) -> typing.Any:
    """Run a query in no transaction, and return its row."""
    connection.autocommit = True
    try:
        return connection.execute(question).fetchone()
    finally:
        if not connection.closed:
            connection.autocommit = False


def tune(engine: sa.Engine) -> None:
    """Make the connections of ``engine`` with :func:`connect`."""
    event.listen(engine, 'do_connect', connect)


def end_idle(engine: sa.Engine, seconds: int) -> None:
    """See :func:`computed.db.engine.setup.end_idle`."""
    @event.listens_for(engine, 'connect')
    def _connected(connection: typing.Any, record: typing.Any) -> None:
        # Inside a transaction its end would undo the setting.
        connection.autocommit = True
        connection.execute(
            f"SET idle_in_transaction_session_timeout = '{seconds} s'")
        connection.autocommit = False


def connect(dialect: typing.Any, record: typing.Any,
            arguments: typing.Any,
            parameters: dict[str, typing.Any]) -> Connection:
    """Connect; a listener of ``do_connect``.

    :raises oslo_db.exception.DBConnectionError: it failed
    """
    text = parameters.get('connect_timeout')
    patience = float(text) if text else None
    try:
        limit = allowed(patience)
        if limit is not None:
            parameters['connect_timeout'] = max(1, round(limit))
        made = Connection.connect(*arguments, **parameters)
    except Exception as error:      # of any type, as the text may be wrong
        raise db_exc.DBConnectionError(error) from error
    made.patience = patience
    return made


@exc_filters.filters('postgresql', sa.exc.OperationalError, '')
def translate(error: Exception, match: typing.Any, engine_name: str,
              is_disconnect: bool) -> None:
    """Recognize errors that oslo.db would pass on unchanged.

    :raises oslo_db.exception.DBDeadlock: the caller repeats the transaction
    :raises oslo_db.exception.DBConnectionError: the server stops
    """
    state = errors.sqlstate(error)
    if state in DEADLOCK:
        raise db_exc.DBDeadlock(error)
    if state in GOING_AWAY:
        raise db_exc.DBConnectionError(error)
