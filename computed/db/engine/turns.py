"""The turn of a process that changes a schema, and what is said about it."""

import dataclasses
import logging

import sqlalchemy as sa

from computed import clock
from computed import exception
from computed.db.engine import address
from computed.db.engine import server_sql

LOG = logging.getLogger(__name__)


class Refused(Exception):
    """The schema must not be changed now; ``args[0]`` says why.

    :ivar remedy: what an operator can do
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


# Seconds after which the server ends the session of a holder that sends
# nothing, because its machine is gone or it was stopped.
SILENCE = 60
# Seconds that a statement waits for the sessions that use its table. Every
# later statement on this table waits behind it.
GIVE_WAY = 10
DIRECT = ('Connect to the server itself, not through a proxy that shares '
          'sessions, and run `computed-manage db sync` again.')


class Waiting:
    """Says for whom this process waits, and when it has waited enough.

    :ivar seconds: how long it waits
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = clock.monotonic() + seconds
        self._said = False

    def for_holder(self, who: str, remedy: str) -> None:
        """Note that ``who`` still has the turn.

        :param remedy: how to end its turn
        :raises computed.exception.SchemaBusy: this took too long
        """
        if not self._said:
            LOG.warning('Another process changes the schema: %s. Waiting for '
                        'it, at most %g s.', who, self.seconds)
            self._said = True
        if clock.monotonic() >= self._until:
            raise exception.SchemaBusy(
                holder=who, wait=self.seconds, remedy=remedy)


@dataclasses.dataclass
class Turn:
    """The right to change the schema.

    :ivar connection: what to change it with. A transaction is open on it,
        except on MariaDB, where each statement is committed by itself.
    :ivar whole: whether a failure undoes everything
    """

    connection: sa.Connection
    whole: bool = True

    def confirm(self) -> None:
        """Raise an error if the turn is lost.

        A transaction on the same session needs no check.

        :raises Refused: it is lost
        """


def refuse_read_only(connection: sa.Connection) -> None:
    """Refuse a replica; an administrator's account could write even to it.

    :raises Refused: the server is read-only
    """
    engine = connection.engine
    if not connection.scalar(sa.text(
            f'SELECT {server_sql.takes_writes(engine)}')):
        raise Refused(f'{address.show(engine.url)} is read-only',
                      'Let [database] connection name the primary.')
