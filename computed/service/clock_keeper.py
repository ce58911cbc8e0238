"""The part that each conductor has in counting the clock of the cell."""

from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed.db.cell import cell_clock
from computed.db.cell.database import cell
from computed.periodic import turns

LOG = logging.getLogger(__name__)

# Seconds of the conductor's clock for one second of the cell's.
SECOND = 1.0
# So many seconds later a conductor looks again if another one counts. It is
# less than cell_clock.REACH, so that the calls that it gets are noted in
# time.
FOLLOW = 5.0


class Keeper(turns.Turns):
    """A thread of a conductor that takes part in the count."""

    def __init__(self) -> None:
        super().__init__('cell clock')
        self._seen: cell_clock.Reading | None = None

    def turn(self) -> float:
        """Add a second if nobody else did since the last turn.

        :returns: the seconds to wait until the next turn
        """
        heard, calls = cell_clock.hearing.asked()
        first = self._seen is None
        known = cell.router.incarnation
        before, noted = known.number, known.witness.seen()
        try:
            turn = cell_clock.advance(
                computed_context.new(), self._seen, heard, before, noted)
        except exception.ComputedError as error:
            # The monitor and the hosts say that the primary is away.
            LOG.debug('The clock of the cell stands still: %s', error)
            self._seen = None
        except Exception:       # the next turn may succeed
            LOG.exception('The clock of the cell stands still.')
            self._seen = None
        else:
            self._seen = turn.reading
            known.witness.follow(
                turn.incarnation, turn.reading.seconds, noted)
            cell_clock.tell(turn.loss)
            # Not if a failover was noticed meanwhile.
            if turn.incarnation is not None and known.number == before:
                known.adopt(turn.incarnation)
            if turn.noted:
                cell_clock.hearing.told(calls)
            if not turn.added and not first:
                return FOLLOW
        return SECOND
