"""When a periodic task is due: decisions only, no clock and no thread.

All times are seconds of a monotonic clock, so that nobody's correction of
the wall clock skips or repeats a run.
"""

import dataclasses
import hashlib
import math
import typing

from computed import exception
from computed import periodic
from computed.periodic import history

DEFAULT_SPACING = 60        # what oslo.service makes of 0 and None
SHORTEST_DEADLINE = 60
MOST_DOUBLINGS = 3          # a failing task waits 8 spacings at most
LONGEST_BACKOFF = 3600
SHORTEST_RETRY = 1


def fraction(host, task):
    """This host's place in the spacing of this task, from 0 to below 1.

    Always the same for the same names, and spread evenly over hosts. Not
    ``hash()``, which differs in each process.
    """
    digest = hashlib.sha256(f'{host}\0{task}'.encode()).digest()
    return int.from_bytes(digest[:6], 'big') / 2 ** 48


def seconds(spacing, options):
    """What the spacing of a task means now, in seconds; None is never.

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


def deadline(spacing):
    """Seconds after which a run is reported as hanging."""
    return max(spacing or 0, SHORTEST_DEADLINE)


def next_slot(after, spacing, part):
    """The first point of the grid later than ``after``.

    The grid is ``(k + part) * spacing`` since the zero of the clock, which
    is the boot of the host. So it is there before the daemon is: a restart
    moves nothing, hosts restarted together stay as far apart as their parts
    are, and a daemon that lives shorter than a spacing still meets its slot
    in one of its lives.
    """
    slot = (math.floor(after / spacing - part) + 1 + part) * spacing
    # Rounding may have put it upon ``after`` itself.
    return slot if slot > after else slot + spacing


def backoff(spacing, failures, jitter):
    """Seconds from the end of a failed run to the next.

    Never shorter than the spacing: failing is no reason to ask more often.

    :param failures: how many in a row, from 1
    :param jitter: random, from 0 to below 1
    """
    doubled = spacing * 2 ** min(failures - 1, MOST_DOUBLINGS)
    return max(spacing, min(doubled, LONGEST_BACKOFF)) * (1 + jitter / 10)


def retry(retry_after, jitter):
    """Seconds to the next try of a run that was asked to come back later.

    Never sooner than it was told, and spread over as much time again:
    everybody refused in the same moment was told the same.
    """
    delay = max(SHORTEST_RETRY, retry_after) * (1 + jitter)
    return min(delay, LONGEST_BACKOFF)


@dataclasses.dataclass
class Timetable:
    """When one task of one host is due.

    :ivar part: this host's place in the spacing, see :func:`fraction`
    :ivar spacing: seconds between runs; None is never
    :ivar due: when the next run is to begin; None is never
    :ivar failures: how many runs in a row have failed
    """

    part: float
    spacing: float | None = None
    due: float | None = None
    failures: int = 0

    def start(self, now, spacing, within=None):
        """Begin to count.

        :param within: have the first run within so many seconds, if the
            spacing is not shorter, instead of at the first slot
        """
        self.change(now, spacing)
        if spacing is not None and within is not None:
            self.due = now + self.part * min(spacing, within)

    def change(self, now, spacing):
        """Another spacing holds from now on; the same one changes nothing."""
        if spacing != self.spacing:
            self.spacing = spacing
            self.due = None if spacing is None else self._slot(now)

    def is_due(self, now):
        return self.due is not None and self.due <= now

    def advance(self, now):
        """The due run was begun or left out: wait for the next slot.

        Slots missed meanwhile are dropped, not made up for. One less than
        half a spacing after a run that was off the grid (at start, after
        failures) is too soon and left out as well.
        """
        self.due = self._slot(max(now, self.due + self.spacing / 2))

    def succeeded(self, now):
        """A run ended well: no more backing off."""
        self.failures = 0
        if self.due is not None:
            self.due = min(self.due, self._slot(now + self.spacing / 2))

    def failed(self, now, jitter):
        """A run ended badly: back off."""
        self.failures += 1
        if self.due is not None:
            self.due = now + backoff(self.spacing, self.failures, jitter)

    def put_off(self, now, retry_after, jitter):
        """A run was asked to come back later. That is no failure."""
        if self.due is not None:
            self.due = now + retry(retry_after, jitter)

    def _slot(self, after):
        return next_slot(after, self.spacing, self.part)


@dataclasses.dataclass
class Run:
    """One run under way.

    :ivar began: seconds of the monotonic clock
    :ivar started_at: seconds since 1970
    :ivar thread: the id of the thread it runs in
    :ivar futures: where those who asked for it wait for the record
    :ivar accept: how many repairs they accept, or None
    :ivar late: it has exceeded its deadline, and that was said
    :ivar replaced: another thread was started instead of its own
    """

    began: float
    started_at: float
    thread: int
    futures: list
    accept: int | None
    context: typing.Any = None
    late: bool = False
    replaced: bool = False


@dataclasses.dataclass
class Slot:
    """One task: when it is due, what it is doing, how often it did.

    :ivar run: the run under way, or None
    :ivar queued_at: since when it waits for a thread, or None
    :ivar requests: ``(future, accept)`` of those who asked for the next run
    :ivar resync: the next run reads everything again: what was read before
        belongs to an earlier incarnation of the database
    """

    name: str
    task: periodic.PeriodicTask
    timetable: Timetable
    run: Run | None = None
    queued_at: float | None = None
    requests: list = dataclasses.field(default_factory=list)
    runs: int = 0
    failures: int = 0
    skipped_overlap: int = 0
    resync: bool = False

    @property
    def busy(self):
        """Whether a run is under way or waits for a thread."""
        return self.run is not None or self.queued_at is not None

    @property
    def deadline(self):
        """When the run under way should have ended."""
        return self.run.began + deadline(self.timetable.spacing)

    def overdue(self, now):
        """Whether it takes too long, or waits too long to begin at all."""
        if self.run is not None:
            return self.deadline <= now
        waiting = [since for since in (self.queued_at, self.timetable.due)
                   if since is not None]
        return bool(waiting) and (
            min(waiting) + deadline(self.timetable.spacing) <= now)

    def alarms(self):
        """When it wants to be looked at again."""
        if self.timetable.due is not None:
            yield self.timetable.due
        if self.run is not None and not self.run.late:
            yield self.deadline

    def begin(self, now, started_at, thread):
        """A run begins; it answers all who asked until now."""
        # From here on nobody can cancel; who already did no longer counts.
        asked = [(future, accept) for future, accept in self.requests
                 if future.set_running_or_notify_cancel()]
        accepts = [accept for _, accept in asked if accept is not None]
        self.requests, self.queued_at = [], None
        self.run = Run(began=now, started_at=started_at, thread=thread,
                       futures=[future for future, _ in asked],
                       accept=max(accepts, default=None))
        return self.run

    def end(self, now, outcome, retry_after, jitter):
        """The run has ended."""
        self.run = None
        self.runs += 1
        if outcome == history.OK:
            self.timetable.succeeded(now)
        elif outcome == history.PUT_OFF:
            self.timetable.put_off(now, retry_after, jitter)
        else:
            self.failures += 1
            self.timetable.failed(now, jitter)

    def describe(self, ahead):
        """Its state as plain values.

        :param ahead: seconds from the monotonic clock's time to the time
            since 1970
        """
        due = self.timetable.due
        return {
            'name': self.name,
            'spacing': self.timetable.spacing or 0,
            'next_run_at': None if due is None else due + ahead,
            'running_since': self.run and self.run.started_at,
            'runs': self.runs,
            'failures': self.failures,
            'skipped_overlap': self.skipped_overlap}
