"""Decide when a periodic task is due. Pure: no clock and no thread.

All times are seconds of the monotonic clock, so a change of the wall clock
neither skips nor repeats a run.
"""

import dataclasses
import hashlib
import math
import typing
from collections import abc

from computed import exception
from computed.periodic import task

DEFAULT_SPACING = 60        # what 0 and None mean to oslo.service
SHORTEST_DEADLINE = 60
MAX_DOUBLINGS = 3           # a task that fails waits 8 spacings at most
LONGEST_BACKOFF = 3600
SHORTEST_RETRY = 1


def fraction(host: str, name: str) -> float:
    """Return the place of this host in the spacing of a task: 0 to below 1.

    The same names always give the same place, and the places are spread
    evenly over the hosts. ``hash()`` would differ in each process.
    """
    digest = hashlib.sha256(f'{host}\0{name}'.encode()).digest()
    return int.from_bytes(digest[:6], 'big') / 2 ** 48


def seconds(spacing: task.Spacing,
            options: abc.Mapping[str, typing.Any]) -> float | None:
    """Return the seconds that a spacing means now; None is never.

    :param spacing: as given to :func:`computed.periodic.periodic_task`
    :param options: the ``[tasks]`` group
    :raises computed.exception.ConfigError: the option is negative
    """
    if isinstance(spacing, str):
        value = options[spacing]
        if value < 0:
            raise exception.ConfigError(
                option=f'[tasks] {spacing}', value=value,
                problem='an interval cannot be negative',
                remedy='Write 0 to turn the task off.')
        return value or None
    if not spacing:
        return DEFAULT_SPACING
    return spacing if spacing > 0 else None


def deadline(spacing: float | None) -> float:
    """Return the seconds after which a run is reported as hanging."""
    return max(spacing or 0, SHORTEST_DEADLINE)


def next_slot(after: float, spacing: float, part: float) -> float:
    """Return the first point of the grid that is later than ``after``.

    The grid is ``(k + part) * spacing`` since the zero of the clock, which is
    the boot of the host. So it does not depend on the start of the daemon: a
    restart moves nothing, hosts that restart together stay apart, and a
    daemon that restarts more often than the spacing still meets its slots.

    :param after: seconds of the monotonic clock
    :param spacing: seconds
    :param part: see :func:`fraction`
    """
    slot = (math.floor(after / spacing - part) + 1 + part) * spacing
    # Rounding may give ``after`` itself.
    return slot if slot > after else slot + spacing


def backoff(spacing: float, failures: int, jitter: float) -> float:
    """Return the seconds from the end of a failed run to the next run.

    They are never fewer than the spacing, so that a failure does not make the
    task ask more often.

    :param spacing: seconds
    :param failures: the number of failures in a row, from 1
    :param jitter: random, from 0 to below 1
    """
    doubled = spacing * 2 ** min(failures - 1, MAX_DOUBLINGS)
    return max(spacing, min(doubled, LONGEST_BACKOFF)) * (1 + jitter / 10)


def retry(retry_after: float, jitter: float) -> float:
    """Return the seconds until a run that was put off is tried again.

    They are never fewer than ``retry_after``, and spread over as much time
    again: all hosts that were refused at one moment got the same number.

    :param retry_after: the seconds that the conductor asked for
    :param jitter: random, from 0 to below 1
    """
    delay = max(SHORTEST_RETRY, retry_after) * (1 + jitter)
    return min(delay, LONGEST_BACKOFF)


@dataclasses.dataclass
class Timetable:
    """When one task of one host is due.

    :ivar part: the place of this host in the spacing, see :func:`fraction`
    :ivar spacing: seconds between two runs; None is never
    :ivar due: when the next run begins; None exactly if ``spacing`` is None
    :ivar failures: how many runs in a row have failed
    """

    part: float
    spacing: float | None = None
    due: float | None = None
    failures: int = 0

    def start(self, now: float, spacing: float | None,
              within: float | None = None) -> None:
        """Set the first run.

        :param within: seconds; have the first run within this time, or
            within the spacing if that is shorter. None: at the first slot.
        """
        self.change(now, spacing)
        if spacing is not None and within is not None:
            self.due = now + self.part * min(spacing, within)

    def change(self, now: float, spacing: float | None) -> None:
        """Use another spacing from now on; the same one changes nothing."""
        if spacing != self.spacing:
            self.spacing = spacing
            self.due = None if spacing is None else next_slot(
                now, spacing, self.part)

    def is_due(self, now: float) -> bool:
        """Tell whether a run has to begin."""
        return self.due is not None and self.due <= now

    def advance(self, now: float) -> None:
        """Wait for the next slot, because the due run has begun or is skipped.

        Slots that were missed meanwhile are not made up for. A slot that
        comes less than half a spacing after a run off the grid (at start,
        after failures) is too soon and is skipped too.
        """
        if self.spacing is not None and self.due is not None:
            self.due = next_slot(max(now, self.due + self.spacing / 2),
                                 self.spacing, self.part)

    def succeeded(self, now: float) -> None:
        """End the backoff, because a run has succeeded."""
        self.failures = 0
        if self.spacing is not None and self.due is not None:
            self.due = min(self.due, next_slot(
                now + self.spacing / 2, self.spacing, self.part))

    def failed(self, now: float, jitter: float) -> None:
        """Back off, because a run has failed."""
        self.failures += 1
        if self.spacing is not None:
            self.due = now + backoff(self.spacing, self.failures, jitter)

    def put_off(self, now: float, retry_after: float, jitter: float) -> None:
        """Repeat a run that was put off, which is not a failure."""
        if self.due is not None:
            self.due = now + retry(retry_after, jitter)
