"""Run each periodic task when it is due, and record the result.

One thread watches the clock, and a few others run tasks. A task that hangs
occupies its thread and nothing else: the runner logs its stack once, and
starts another thread in place of the one that is occupied.
"""

import functools
import threading
import traceback
import typing
from collections import abc
from concurrent import futures

from oslo_config import cfg
from oslo_log import log as logging

from computed import chance
from computed import clock as system_clock
from computed import concurrency
from computed import exception
from computed import metrics
from computed import periodic
from computed.periodic import collect
from computed.periodic import history
from computed.periodic import perform
from computed.periodic import slot as task_slot
from computed.periodic import timetable
from computed.periodic import waiting
from computed.periodic import workers

LOG = logging.getLogger(__name__)

SAVE_INTERVAL = 10      # least seconds between two writes of the records
PAUSE_AFTER_FAULT = 1   # seconds


class Manager(typing.Protocol):
    """What the runner needs of the manager; the tasks may need more."""

    @property
    def host(self) -> str: ...


class Runner:
    """Runs the periodic tasks of one manager."""

    def __init__(self, conf: cfg.ConfigOpts, manager: Manager,
                 new_context: perform.NewContext, folder: str,
                 clock: system_clock.Source = system_clock,
                 tasks: abc.Mapping[str, periodic.PeriodicTask] | None = None,
                 ) -> None:
        """Collect and check the tasks; nothing runs before :meth:`start`.

        :param manager: an object with tasks, and the name of its ``host``
        :param new_context: makes the context of each run
        :param folder: the folder of the records of runs
        :param clock: tells the time
        :param tasks: ``{name: task}``; None: the tasks of the manager
        :raises ValueError: two tasks have the same name
        :raises computed.exception.ConfigError: an interval is negative
        :raises oslo_config.cfg.NoSuchOptError: a task's spacing names no
            option of ``[tasks]``
        """
        self.conf = conf
        self.manager = manager
        self._new_context = new_context
        self._clock = clock
        self._history = history.History(folder)
        put_off = waiting.Waiting()
        self._slots = {
            name: task_slot.Slot(name, task, timetable.Timetable(
                timetable.fraction(manager.host, name)), put_off)
            for name, task in (collect.collect(manager) if tasks is None
                               else tasks).items()}
        for slot in self._slots.values():
            slot.current_spacing(self.conf)
        # Guards the slots and the attributes below; notified of each change.
        self._changed = threading.Condition()
        self._running = False
        self._save_at = 0.0
        self._last_ok_at: float | None = None

    def start(self) -> None:
        """Load the records of earlier runs, and begin to run tasks."""
        self._history.load()
        self._last_ok_at = max(
            (run.ended_at for name in self._slots
             for run in self._history.of(name) if run.outcome == history.OK),
            default=None)
        now, delay = self._clock.monotonic(), self.conf.periodic_fuzzy_delay
        for slot in self._slots.values():
            slot.timetable.start(
                now, slot.current_spacing(self.conf),
                delay if slot.task.run_immediately else None)
        self._running = True
        self._workers = workers.Workers(self.conf.periodic_workers)
        concurrency.thread('periodic-scheduler', self._watch).start()

    def stop(self, timeout: float | None = None) -> list[str]:
        """Begin no more runs, and wait for the present ones to end.

        Runs that were asked for and have not begun are cancelled.

        :param timeout: seconds to wait at most; None waits without a limit
        :returns: the names of the tasks that still run
        """
        with self._changed:
            was_running, self._running = self._running, False
            asked = [future for slot in self._slots.values()
                     for future, _ in slot.requests]
            self._changed.notify_all()
        for future in asked:
            future.cancel()
        with self._changed:
            self._changed.wait_for(lambda: not self._tasks_at_work(), timeout)
            left = self._tasks_at_work()
        if was_running:
            self._workers.stop()
        self._history.save()
        return left

    def reload(self) -> None:
        """Read the options again, because intervals may have changed."""
        with self._changed:
            now = self._clock.monotonic()
            for slot in self._slots.values():
                slot.follow_options(now, self.conf)
            self._changed.notify_all()

    def trigger(self, name: str,
                accept: int | None = None) -> task_slot.RunFuture:
        """Run a task now, even if it is turned off.

        If it runs already, it runs once more afterwards, because only a run
        that begins after the request can answer it. All requests that arrive
        before it begins share that run.

        :param name: the name of the task
        :param accept: how many repairs the caller accepts in spite of the
            brake; if several callers share a run, the highest number counts
        :returns: a future of the record; cancelled if the runner is stopped
        :raises computed.exception.TaskNotFound: there is no such task
        """
        slot = self._slot(name)
        future: task_slot.RunFuture = futures.Future()
        with self._changed:
            if self._running:
                slot.requests.append((future, accept))
                if not slot.busy:
                    self._queue(slot)
                return future
        future.cancel()
        return future

    def describe(self) -> list[dict[str, typing.Any]]:
        """Return the state of each task as plain values.

        ``spacing`` is in seconds, 0 if the task is off; ``next_run_at`` and
        ``running_since`` are seconds since 1970, or None; ``last`` is the
        record of the last run, or None; ``runs``, ``failures`` and
        ``skipped_overlap`` count from the start of the service.
        """
        with self._changed:
            ahead = self._clock.time() - self._clock.monotonic()
            return [{**slot.describe(ahead), 'last': last and last.as_dict()}
                    for name, slot in self._slots.items()
                    for last in [self._history.last(name)]]

    def history(self, name: str) -> list[history.Record]:
        """Return the records of the last runs of a task, oldest first.

        :raises computed.exception.TaskNotFound: there is no such task
        """
        return self._history.of(self._slot(name).name)

    def digest(self) -> dict[str, typing.Any]:
        """Return a summary that fits into a heartbeat.

        ``tasks`` is the number of tasks; ``failing`` names those whose last
        run failed; ``overdue`` names those that run or wait for too long;
        ``last_ok_at`` is when a run last succeeded, in seconds since 1970, or
        None.
        """
        with self._changed:
            now = self._clock.monotonic()
            return {
                'tasks': len(self._slots),
                'failing': [slot.name for slot in self._slots.values()
                            if slot.timetable.failures],
                'overdue': [slot.name for slot in self._slots.values()
                            if slot.overdue(now)],
                'last_ok_at': self._last_ok_at}

    # -- called with the lock held

    def _tasks_at_work(self) -> list[str]:
        return [slot.name for slot in self._slots.values() if slot.run]

    def _queue(self, slot: task_slot.Slot) -> None:
        slot.queued_at = self._clock.monotonic()
        self._workers.submit(functools.partial(self._work, slot))

    def _tick(self) -> float | None:
        """Do what is due; return the seconds until the next tick, or None."""
        now = self._clock.monotonic()
        for slot in self._slots.values():
            if slot.timetable.is_due(now):
                slot.follow_options(now, self.conf)
            if slot.timetable.is_due(now):
                slot.timetable.advance(now)
                self._begin_or_skip(slot)
            if slot.run and not slot.run.late and slot.overdue(now):
                self._report_hang(slot, slot.run, now)
        alarms = [alarm for slot in self._slots.values()
                  for alarm in slot.alarms()]
        if self._history.unsaved:
            if self._save_at <= now:
                self._save_at = now + SAVE_INTERVAL
                self._workers.submit(self._history.save)
            alarms.append(self._save_at)
        return max(min(alarms) - now, 0) if alarms else None

    def _begin_or_skip(self, slot: task_slot.Slot) -> None:
        if slot.busy:
            slot.skipped_overlap += 1
            metrics.task_runs.labels(slot.name, 'skipped_overlap').inc()
            LOG.debug('Periodic task %s is due but still runs; skipped.',
                      slot.name)
        else:
            self._queue(slot)

    def _report_hang(self, slot: task_slot.Slot, run: task_slot.Run,
                     now: float) -> None:
        """Log where a run hangs, and start a thread in place of its own."""
        run.late = True
        metrics.task_runs.labels(slot.name, 'deadline').inc()
        LOG.warning(
            'Periodic task %s has run for %.0f s; its deadline is %.0f s. It '
            'cannot be ended. It is at:\n%s',
            slot.name, now - run.began, slot.limit, ''.join(
                traceback.format_stack(concurrency.frame_of(run.thread))),
            context=run.context)
        self._workers.add()
        run.replaced = True     # not reached if no thread could be started

    # -- called without the lock

    def _slot(self, name: str) -> task_slot.Slot:
        try:
            return self._slots[name]
        except KeyError:
            raise exception.TaskNotFound(name=name) from None

    def _watch(self) -> None:
        """Tick until the runner stops; runs in the scheduler's thread."""
        with self._changed:
            while self._running:
                try:
                    pause = self._tick()
                except Exception:
                    # Perhaps no thread could be started. If the scheduler
                    # ended here, no task would ever run again.
                    LOG.exception('An error in the scheduler of periodic '
                                  'tasks; it goes on')
                    pause = PAUSE_AFTER_FAULT
                self._changed.wait(pause)

    def _work(self, slot: task_slot.Slot) -> bool:
        """Run a task once, in a worker's thread.

        :returns: whether another thread was started in place of this one
        """
        with self._changed:
            if not self._running:
                return False
            run = slot.begin(self._clock.monotonic(), self._clock.time(),
                             threading.get_ident())
            self._changed.notify_all()
        record, retry_after = perform.perform(
            slot, run, self.manager, self._new_context)
        with self._changed:
            now = self._clock.monotonic()
            record.duration = now - run.began
            slot.end(now, record.outcome, retry_after, chance.fraction())
            if record.outcome == history.OK:
                self._last_ok_at = record.ended_at
            self._history.add(record)
            if slot.requests and self._running:
                self._queue(slot)
            self._changed.notify_all()
        if run.late:
            LOG.warning('Periodic task %s, which had exceeded its deadline, '
                        'has ended after %.0f s.',
                        slot.name, record.duration)
        metrics.task_runs.labels(slot.name, record.outcome).inc()
        metrics.task_duration_seconds.labels(slot.name).observe(
            record.duration)
        for future in run.futures:
            future.set_result(record)
        return run.replaced
