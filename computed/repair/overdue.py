"""Policies of what is wrong once it has lasted for too long.

Such a task need not look every time. A list tells when the next row can be
due: nothing that began later than the list can be due sooner than that.
"""

import dataclasses
import datetime
import math

from computed import clock
from computed import periodic
from computed.claims import claims
from computed.repair import engine
from computed.repair import policy

# Seconds after which it looks in any case. The database may have gone back in
# time meanwhile, or its clock may have been set.
LONGEST = 3600.0
# A time that is so many seconds in the future was noted before the clock of
# the database was set back. A smaller difference is that of two clocks.
AHEAD = 60.0


def age(since: datetime.datetime, now: float) -> float:
    """Return for how long something lasts. Pure.

    If the clock of the database was set back, nobody knows, and it may have
    lasted long enough. So the task tries it, and the primary decides by the
    clock of the cell.

    :param since: when it began, by the clock of the database
    :param now: the time of the database, in seconds since 1970
    :returns: seconds; infinity: nobody knows
    """
    found = now - since.timestamp()
    return found if found > -AHEAD else math.inf


def is_over(since: datetime.datetime | None, now: float,
            timeout: int) -> bool:
    """Return whether something has lasted for longer than allowed. Pure.

    :param since: as for :func:`age`; None: it has not begun
    :param now: as for :func:`age`
    :param timeout: seconds; 0: it may last for ever
    """
    return timeout > 0 and since is not None and age(since, now) > timeout


def lasts(seconds: int) -> dict[str, object]:
    """Return the fact of a claim that a row has its state for so long.

    The primary compares it by the clock of the cell, because that of the
    database can be set.

    :param seconds: 0: any time will do, and there is no such fact
    """
    return {'seconds_in_state': seconds} if seconds else {}


@dataclasses.dataclass(frozen=True)
class Listed:
    """What a list has shown of what may last too long.

    :ivar oldest: nothing began before this; seconds since 1970, by the clock
        of the database
    :ivar read_at: when the list was read, in seconds of the monotonic clock
    """

    oldest: float
    read_at: float

    def seconds_left(self, now: float, monotonic: float,
                     timeout: int) -> float:
        """Return for how long nothing can be due; 0 or less: look now. Pure.

        :param now: as for :func:`is_over`
        :param monotonic: the same moment by the monotonic clock
        :param timeout: as for :func:`is_over`
        """
        return min(self.oldest + timeout - now,
                   self.read_at + LONGEST - monotonic)


class Overdue(policy.Policy):
    """End what has lasted for longer than an option allows.

    :cvar timeout_option: the option in ``[tasks]`` with the limit in seconds;
        0 turns the task off
    :cvar fact: the state that may not last, as ``(column, value)``
    :cvar since: the column that says since when it lasts
    """

    timeout_option: str
    fact: tuple[str, str]
    since: str
    looks_at_guests = False

    def timeout(self, manager: policy.Manager) -> int:
        """Return the limit in seconds; 0: there is none."""
        return getattr(manager.conf.tasks, self.timeout_option)

    def is_due(self, manager: policy.Manager, row: policy.Row) -> bool:
        """Return whether a row has lasted for too long."""
        column, value = self.fact
        return getattr(row, column) == value and is_over(
            getattr(row, self.since), manager.database_time.now(),
            self.timeout(manager))

    def look(self, manager: policy.Manager, context: claims.Context,
             use_slave: bool) -> policy.Look:
        """Read all rows, and note when the next one can be due."""
        now, read_at = manager.database_time.now(), clock.monotonic()
        found = super().look(manager, context, use_slave)
        origin = getattr(found.rows, 'origin', None)
        column, value = self.fact
        begun = [getattr(row, self.since) for row in found.rows
                 if getattr(row, column) == value]
        manager.task_memory.of(self.name).listed = Listed(
            min([now - (origin.age if origin else 0),
                 *(since.timestamp() for since in begun if since)]), read_at)
        return found

    def run(self, manager: policy.Manager,
            context: claims.Context) -> periodic.Report:
        """Run one pass, unless nothing can be due."""
        timeout = self.timeout(manager)
        if not timeout:
            return periodic.Report(note=f'[tasks] {self.timeout_option} is 0')
        listed = manager.task_memory.of(self.name).listed
        if listed is not None:
            left = listed.seconds_left(
                manager.database_time.now(), clock.monotonic(), timeout)
            if left > 0:
                return periodic.Report(
                    note=f'nothing can be due for {left:.0f} s')
        return engine.run(manager, context, self)
