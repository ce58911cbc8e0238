"""The clock of a cell: seconds that its conductors count together.

Whether a host is alive must not depend on a clock that can be set, and a
conductor that has just started has seen no heartbeat yet. So the conductors
count in the database. A conductor adds a second when it has seen the count
unchanged for a second of its own monotonic clock. So the count is never ahead
of time, whatever any clock does, and it stands still while the primary takes
no writes or no conductor runs: nobody could be heard then.

``seconds`` tells for how long a host was silent. ``listened`` also stands
still while no host can reach any conductor, for example because the broker is
away. Only by ``listened`` may a service lose its host.
"""

import dataclasses
import threading

import sqlalchemy as sa
from oslo_log import log as logging

from computed import clock as system_clock
from computed import concurrency
from computed import context as computed_context
from computed import exception
from computed.db.cell import models
from computed.db.cell.database import cell

LOG = logging.getLogger(__name__)

# Seconds of the conductor's clock for one second of the cell's.
SECOND = 1.0
# So many seconds later a conductor looks again if another one counts. It is
# less than REACH, so that the calls that it gets are noted in time.
FOLLOW = 5.0
# A call of a host proves that hosts could be heard for this many seconds
# before it, because each of them reports about as often.
REACH = 10

_ROW = models.CellClock


@dataclasses.dataclass(frozen=True)
class Reading:
    """What the clock shows.

    :ivar seconds: how many were counted
    :ivar listened: during how many of these hosts could be heard
    :ivar listened_at: the ``seconds`` when a host was last heard
    """

    seconds: int
    listened: int
    listened_at: int

    def next(self) -> 'Reading':
        """Return the reading one second later."""
        return dataclasses.replace(self, seconds=self.seconds + 1)

    def hear(self) -> 'Reading':
        """Return the reading after a call of a host, in the same second."""
        return Reading(
            self.seconds,
            self.listened + min(self.seconds - self.listened_at, REACH),
            self.seconds)


@dataclasses.dataclass(frozen=True)
class Turn:
    """What became of the turn of a conductor.

    :ivar reading: what the clock shows now
    :ivar added: whether this conductor added a second
    :ivar noted: whether the clock shows that this conductor was called
    """

    reading: Reading
    added: bool
    noted: bool


def seconds() -> sa.ScalarSelect[int]:
    """Return a scalar query: the seconds that were counted."""
    return sa.select(_ROW.seconds).scalar_subquery()


def listened() -> sa.ScalarSelect[int]:
    """Return a scalar query: ``listened`` if a host is heard now."""
    since = _ROW.seconds - _ROW.listened_at
    return sa.select(_ROW.listened + sa.case(
        (since > REACH, REACH), else_=since)).scalar_subquery()


def read(context: computed_context.RequestContext) -> Reading:
    """Return what the clock shows, in the open transaction."""
    return Reading(*context.session.execute(sa.select(
        _ROW.seconds, _ROW.listened, _ROW.listened_at)).one())


@cell.liveness
def advance(context: computed_context.RequestContext,
            seen: Reading | None, heard: bool) -> Turn:
    """Add a second, unless another conductor has added it.

    :param seen: what the clock showed a second ago; None: not known
    :param heard: whether a host has called this conductor since
    """
    if seen is not None and not heard and _swap(
            context, {'seconds': seen.seconds}, {'seconds': seen.seconds + 1}):
        return Turn(seen.next(), True, True)
    if seen is not None and heard and _replace(
            context, seen, seen.next().hear()):
        return Turn(seen.next().hear(), True, True)
    now = read(context)
    # Another conductor may have noted a call since, and added no second.
    due = seen is not None and now.seconds == seen.seconds
    new = (now.next() if due else now).hear()
    if heard and new != now and _replace(context, now, new):
        return Turn(new, due, True)
    return Turn(now, False, not heard or new == now)


def _replace(context: computed_context.RequestContext, old: Reading,
             new: Reading) -> bool:
    return _swap(context, dataclasses.asdict(old), dataclasses.asdict(new))


def _swap(context: computed_context.RequestContext, old: dict[str, int],
          new: dict[str, int]) -> bool:
    """Write ``new`` if the row still has the values ``old``."""
    return bool(context.session.execute(
        sa.update(_ROW).where(*(
            getattr(_ROW, name) == value for name, value in old.items()))
        .values(**new)
        .execution_options(synchronize_session=False)).rowcount)


class Hearing:
    """Whether a host has called this process since somebody asked."""

    def __init__(self) -> None:
        self._calls = self._told = 0

    def note(self) -> None:
        """Note the call of a host."""
        self._calls += 1

    def asked(self) -> tuple[bool, int]:
        """Return whether a host has called, and what to tell back."""
        return self._calls != self._told, self._calls

    def told(self, calls: int) -> None:
        """Note that the calls up to ``calls`` were written down."""
        self._told = calls


hearing = Hearing()


class Keeper:
    """A thread of a conductor that takes part in the count."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._seen: Reading | None = None
        self._thread: concurrency.Thread = concurrency.thread(
            'cell clock', self._run)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that hangs on a dead server is left."""
        self._stopping.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wait(system_clock.monotonic() + self.turn())

    def _wait(self, until: float) -> None:
        # The wait may use a coarser clock, and must not end early.
        while (left := until - system_clock.monotonic()) > 0:
            if self._stopping.wait(left):
                return

    def turn(self) -> float:
        """Add a second if nobody else did since the last turn.

        :returns: the seconds to wait until the next turn
        """
        heard, calls = hearing.asked()
        first = self._seen is None
        try:
            turn = advance(computed_context.new(), self._seen, heard)
        except exception.ComputedError as error:
            # The monitor and the hosts say that the primary is away.
            LOG.debug('The clock of the cell stands still: %s', error)
            self._seen = None
        except Exception:       # the next turn may succeed
            LOG.exception('The clock of the cell stands still.')
            self._seen = None
        else:
            self._seen = turn.reading
            if turn.noted:
                hearing.told(calls)
            if not turn.added and not first:
                return FOLLOW
        return SECOND
