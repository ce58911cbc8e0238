"""The state of one task: when it is due, its run, the requests for a run.

The runner guards every slot with one lock.
"""

import dataclasses
import typing
from collections import abc
from concurrent import futures

from oslo_config import cfg
from oslo_log import log as logging

from computed import context as request_context
from computed import exception
from computed import periodic
from computed.logs import outage
from computed.periodic import history
from computed.periodic import timetable
from computed.periodic import waiting as waiting_module

LOG = logging.getLogger(__name__)

RunFuture: typing.TypeAlias = 'futures.Future[history.Record]'


@dataclasses.dataclass
class Run:
    """A run that has begun and has not ended.

    :ivar began: seconds of the monotonic clock
    :ivar started_at: seconds since 1970
    :ivar thread: the id of the thread in which it runs
    :ivar futures: with these, the callers that asked for it get the record
    :ivar accept: how many repairs these callers accept, or None
    :ivar context: the context of the run, once it exists
    :ivar late: it has exceeded its deadline, and a warning was logged
    :ivar replaced: another thread was started in place of its own
    """

    began: float
    started_at: float
    thread: int
    futures: list[RunFuture]
    accept: int | None
    context: request_context.RequestContext | None = None
    late: bool = False
    replaced: bool = False


@dataclasses.dataclass
class Slot:
    """One task, with its timetable and its counters.

    :ivar waiting: of all tasks of the host: which of them are put off
    :ivar run: the run that has begun and not ended, or None
    :ivar queued_at: since when the task waits for a thread, or None
    :ivar requests: ``(future, accept)`` of the callers that asked for the
        next run
    :ivar runs: how many runs have ended
    :ivar failures: how many of them have failed
    :ivar skipped_overlap: how often the task was due while it was busy
    :ivar resync: the next run reads everything again, because what was read
        before belongs to an earlier incarnation of the database
    """

    name: str
    task: periodic.PeriodicTask
    timetable: timetable.Timetable
    waiting: waiting_module.Waiting
    run: Run | None = None
    queued_at: float | None = None
    requests: list[tuple[RunFuture, int | None]] = dataclasses.field(
        default_factory=list)
    runs: int = 0
    failures: int = 0
    skipped_overlap: int = 0
    resync: bool = False

    def __post_init__(self) -> None:
        """Make what tells that runs fail.

        :ivar failing: lasts from a foreseen failure to the next success
        """
        self.failing = outage.Outage(
            f'Periodic task {self.name} failed',
            f'Periodic task {self.name} has been failing for {{seconds}}',
            f'Periodic task {self.name} succeeds again after {{seconds}}.')

    @property
    def busy(self) -> bool:
        """Tell whether a run has begun or waits for a thread."""
        return self.run is not None or self.queued_at is not None

    @property
    def limit(self) -> float:
        """Return the seconds that a run may take."""
        return timetable.deadline(self.timetable.spacing)

    def current_spacing(self, conf: cfg.ConfigOpts) -> float | None:
        """Return the seconds between two runs as the options are now.

        :returns: seconds; None is never
        :raises computed.exception.ConfigError: an interval is negative
        :raises oslo_config.cfg.NoSuchOptError: the spacing names no option
            of ``[tasks]``
        """
        spacing = timetable.seconds(self.task.spacing, conf.tasks)
        return spacing if conf.periodic_enable else None

    def follow_options(self, now: float, conf: cfg.ConfigOpts) -> None:
        """Use the present spacing; keep the last good one if it is bad."""
        try:
            self.timetable.change(now, self.current_spacing(conf))
        except (cfg.Error, exception.ConfigError) as error:
            LOG.warning('Periodic task %s keeps its interval of %s s: %s',
                        self.name, self.timetable.spacing or 0, error)
        if self.timetable.spacing is None:
            self.waiting.ends(self.name)    # it was turned off

    def overdue(self, now: float) -> bool:
        """Tell whether the run takes too long, or begins too late."""
        if self.run is not None:
            return self.run.began + self.limit <= now
        waiting = [since for since in (self.queued_at, self.timetable.due)
                   if since is not None]
        return bool(waiting) and min(waiting) + self.limit <= now

    def alarms(self) -> abc.Iterator[float]:
        """Return the times at which the scheduler has to check this slot."""
        if self.timetable.due is not None:
            yield self.timetable.due
        if self.run is not None and not self.run.late:
            yield self.run.began + self.limit

    def begin(self, now: float, started_at: float, thread: int) -> Run:
        """Begin a run, which answers all callers that have asked until now.

        :param now: seconds of the monotonic clock
        :param started_at: the same moment in seconds since 1970
        :param thread: the id of the thread
        """
        # From here on no caller can cancel. A caller that has cancelled
        # already does not count.
        asked = [(future, accept) for future, accept in self.requests
                 if future.set_running_or_notify_cancel()]
        accepts = [accept for _, accept in asked if accept is not None]
        self.requests, self.queued_at = [], None
        self.run = Run(began=now, started_at=started_at, thread=thread,
                       futures=[future for future, _ in asked],
                       accept=max(accepts, default=None))
        return self.run

    def end(self, now: float, outcome: str, retry_after: float,
            jitter: float) -> None:
        """End the run, and set when the task is due again.

        :param outcome: see :class:`computed.periodic.history.Record`
        :param retry_after: seconds; counts if the run was put off
        :param jitter: random, from 0 to below 1
        """
        self.run = None
        self.runs += 1
        if outcome == history.OK:
            self.timetable.succeeded(now)
        elif outcome == history.PUT_OFF:
            self.timetable.put_off(now, retry_after, jitter)
        else:
            self.failures += 1
            self.timetable.failed(now, jitter)

    def describe(self, ahead: float) -> dict[str, typing.Any]:
        """Return the state as plain values.

        :param ahead: the seconds since 1970 minus those of the monotonic
            clock
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
