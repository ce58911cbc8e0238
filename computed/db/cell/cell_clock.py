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
import functools
import typing

import sqlalchemy as sa
from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed.db import witness
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.engine import prepared
from computed.db.routing import incarnation as incarnation_module
from computed.db.routing import transaction

LOG = logging.getLogger(__name__)

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


FIELDS = tuple(field.name for field in dataclasses.fields(Reading))


@dataclasses.dataclass(frozen=True)
class Turn:
    """What became of the turn of a conductor.

    :ivar reading: what the clock shows now
    :ivar added: whether this conductor added a second
    :ivar noted: whether the clock shows that this conductor was called
    :ivar incarnation: of the database
    :ivar loss: that the database went back, if this conductor found it out
    """

    reading: Reading
    added: bool
    noted: bool
    incarnation: str | None
    loss: 'Loss | None' = None


@dataclasses.dataclass(frozen=True)
class Loss:
    """The database went back in time, and a new incarnation has begun.

    :ivar incarnation: the new one
    :ivar error: what happened, for people
    """

    incarnation: str
    error: exception.DatabaseWentBack


@functools.cache
def seconds() -> sa.ScalarSelect[int]:
    """Return a scalar query: the seconds that were counted."""
    return sa.select(_ROW.seconds).scalar_subquery()


@functools.cache
def listened() -> sa.ScalarSelect[int]:
    """Return a scalar query: ``listened`` if a host is heard now."""
    since = _ROW.seconds - _ROW.listened_at
    return sa.select(_ROW.listened + sa.case(
        (since > REACH, REACH), else_=since)).scalar_subquery()


def read(context: computed_context.RequestContext) -> Reading:
    """Return what the clock shows, in the open transaction."""
    return Reading(*context.connection.execute(_reading()).one())


@functools.cache
def _reading() -> sa.Select:
    return sa.select(_ROW.seconds, _ROW.listened, _ROW.listened_at)


@cell.liveness
def advance(context: computed_context.RequestContext,
            seen: Reading | None, heard: bool,
            incarnation: str | None = None,
            counts: witness.Seen | None = None) -> Turn:
    """Add a second, unless another conductor has added it.

    :param seen: what the clock showed a second ago; None: not known
    :param heard: whether a host has called this conductor since
    :param incarnation: of the database, as this conductor knows it
    :param counts: see :func:`ensure_forward`
    """
    counts = counts or {}
    # What was seen may be of another incarnation than the one that a request
    # has found meanwhile. A dump may show the same second by chance.
    if seen is not None and not _lacks(seen, incarnation, counts):
        # A call that is to be noted changes the whole row.
        old, new = ((seen, seen.next().hear()) if heard else
                    (seen, seen.next()))
        if _swap(context, old, new, incarnation, whole=heard):
            return Turn(new, True, True, incarnation)
    now, current = _look(context)
    loss = None
    if _lacks(now, current, counts):
        loss = ensure_forward(context, counts)
        now, current = _look(context)
    # Another conductor may have noted a call since, and added no second.
    due = seen is not None and now.seconds == seen.seconds
    new = now.next() if due else now
    if heard:
        new = new.hear()
    if new != now and _swap(context, now, new, current):
        return Turn(new, due, True, current, loss)
    return Turn(now, False, not heard or new == now, current, loss)


def _swap(context: computed_context.RequestContext, old: Reading,
          new: Reading, incarnation: str | None, whole: bool = True) -> bool:
    """Write ``new`` if the row still is ``old``, in the same incarnation.

    :param whole: False: only the seconds are compared and written
    """
    names = FIELDS if whole else FIELDS[:1]
    here = [prepared.equals(models.DatabaseIdentity.incarnation, incarnation)]
    if cell.database_id:
        here.append(prepared.equals(
            models.DatabaseIdentity.uuid, cell.database_id))
    return bool(context.connection.execute(
        _swapping(names, prepared.texts(here)),
        {**{f'the_{name}': getattr(old, name) for name in names},
         **{name: getattr(new, name) for name in names},
         **prepared.values(here)}).rowcount)


@functools.cache
def _swapping(names: tuple[str, ...], here: tuple[typing.Any, ...]
              ) -> sa.Update:
    return sa.update(_ROW).where(
        *(getattr(_ROW, name) == prepared.value(name) for name in names),
        sa.exists().where(*here))


# -- a database that went back in time

def _of_database(column: typing.Any) -> sa.ScalarSelect[typing.Any]:
    return sa.select(column).scalar_subquery()


@functools.cache
def incarnation_now() -> sa.ScalarSelect[str | None]:
    """Return a scalar query: the incarnation of the database."""
    return _of_database(models.DatabaseIdentity.incarnation)


def _look(context: computed_context.RequestContext
          ) -> tuple[Reading, str | None]:
    """Return what the clock shows, and the incarnation, in one statement.

    :raises computed.db.routing.transaction.AnotherDatabase: this is not the
        database that the conductor began with
    """
    *shown, incarnation, uuid = context.connection.execute(_looking()).one()
    transaction.ensure_database(context, uuid)
    return Reading(*shown), incarnation


@functools.cache
def _looking() -> sa.Select:
    return _reading().add_columns(
        incarnation_now(), _of_database(models.DatabaseIdentity.uuid))


def _lacks(now: Reading, incarnation: str | None,
           counts: witness.Seen) -> bool:
    return incarnation is not None and (
        now.seconds < counts.get(incarnation, 0))


def not_behind(counts: witness.Seen) -> prepared.Part:
    """Return a condition: the clock shows no less than was seen.

    :param counts: at least one; counts of other incarnations do not matter
    """
    return prepared.Part(_not_behind(len(counts)), {
        f'the_{name}_{number}': value
        for number, seen in enumerate(counts.items())
        for name, value in zip(('incarnation', 'shown'), seen, strict=True)})


@functools.cache
def _not_behind(count: int) -> sa.ColumnElement[bool]:
    now = sa.func.coalesce(incarnation_now(), '')
    return ~sa.or_(*(
        sa.and_(now == prepared.value(f'incarnation_{number}'),
                seconds() < prepared.value(f'shown_{number}'))
        for number in range(count)))


def ensure_forward(context: computed_context.RequestContext,
                   counts: witness.Seen) -> Loss | None:
    """Begin a new incarnation if the clock shows less than was seen.

    Only the primary is asked, so a replica that lags is never taken for a
    database that went back. If another server is the primary now, a new
    incarnation begins for that reason, and nothing is compared.

    Call it in a transaction of :meth:`cell.liveness`.

    :param counts: ``{incarnation: seconds}`` that somebody has seen
    :returns: what was lost; None: nothing, or another conductor has begun
        the new one
    """
    if not counts or not _lacks(*_look(context), counts):
        return None
    former = incarnation_module.current(context)
    now, _ = _look(context)
    if not _lacks(now, former, counts):
        return None
    number = incarnation_module.begin(context, former)
    before = ('was in a later incarnation' if counts[former] == witness.OVER
              else f'showed {counts[former]} s')
    return None if number is None else Loss(
        number, exception.DatabaseWentBack(shown=now.seconds, before=before))


def tell(loss: Loss | None) -> None:
    """Log a loss, and use the new incarnation; call it after the commit."""
    if loss is not None:
        LOG.error('%s', loss.error)
        cell.router.incarnation.begun(loss.incarnation)


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
