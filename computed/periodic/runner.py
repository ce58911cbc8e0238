"""Run each periodic task in its own time, and remember how it went.

One thread watches the clock, a few others run tasks. A task that hangs keeps
its thread and nothing else: it is reported once, with its stack, and another
thread takes the place of the one it holds.
"""

import dataclasses
import functools
import random
import threading
import time
import traceback
from concurrent import futures

from oslo_config import cfg
from oslo_log import log as logging

from computed import concurrency
from computed import exception
from computed import metrics
from computed import periodic
from computed.periodic import collect
from computed.periodic import history
from computed.periodic import timetable
from computed.periodic import workers

LOG = logging.getLogger(__name__)

SAVE_INTERVAL = 10      # least seconds between two writes of the records
PAUSE_AFTER_FAULT = 1   # seconds


class Runner:
    """Runs the periodic tasks of one manager."""

    def __init__(self, conf, manager, new_context, folder, clock=time,
                 tasks=None):
        """Looks at the tasks; nothing runs before :meth:`start`.

        :param manager: an object with tasks and a ``host``, a name
        :param new_context: makes the context of each run
        :param folder: where the records of runs are kept
        :param clock: an object with ``monotonic()`` and ``time()``
        :param tasks: ``{name: PeriodicTask}``; None: those of the manager
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
        self._slots = {
            name: timetable.Slot(name, task, timetable.Timetable(
                timetable.fraction(manager.host, name)))
            for name, task in (collect.collect(manager) if tasks is None
                               else tasks).items()}
        for slot in self._slots.values():
            self._spacing(slot)
        # Guards the slots and what follows; tells of every change of them.
        self._changed = threading.Condition()
        self._running = False
        self._save_at = 0
        self._last_ok_at = None

    def start(self):
        """Load the records of earlier runs, and run tasks from now on."""
        self._history.load()
        self._last_ok_at = max(
            (run.ended_at for name in self._slots
             for run in self._history.of(name) if run.outcome == history.OK),
            default=None)
        now = self._clock.monotonic()
        for slot in self._slots.values():
            slot.timetable.start(
                now, self._spacing(slot), self.conf.periodic_fuzzy_delay
                if slot.task.run_immediately else None)
        self._running = True
        self._workers = workers.Workers(self.conf.periodic_workers)
        threading.Thread(target=self._watch, name='periodic-scheduler',
                         daemon=True).start()

    def stop(self, timeout=None):
        """Begin no more runs, and wait for those under way.

        Runs that were asked for and have not begun are cancelled.

        :param timeout: seconds to wait at most; None for as long as it takes
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
            self._changed.wait_for(lambda: not self._under_way(), timeout)
            left = self._under_way()
        if was_running:
            self._workers.stop()
        self._history.save()
        return left

    def reload(self):
        """Look at the options again: intervals may have changed."""
        with self._changed:
            now = self._clock.monotonic()
            for slot in self._slots.values():
                self._look(slot, now)
            self._changed.notify_all()

    def trigger(self, name, accept=None):
        """Run a task now, even one that is turned off.

        If it runs already, once more afterwards: only a run that begins after
        the question answers it. However many ask meanwhile, it is one run.

        :param accept: how many repairs are accepted above the brake; of
            several who ask for the same run, the highest holds
        :returns: a future of the :class:`.history.Record`; cancelled if the
            runner does not run
        :raises computed.exception.TaskNotFound: there is no such task
        """
        slot = self._slot(name)
        future = futures.Future()
        with self._changed:
            if self._running:
                slot.requests.append((future, accept))
                if not slot.busy:
                    self._queue(slot)
                return future
        future.cancel()
        return future

    def describe(self):
        """What is known of each task: a list of plain dictionaries.

        ``spacing`` is in seconds, 0 if the task is off; ``next_run_at`` and
        ``running_since`` are seconds since 1970, or None; ``last`` is the
        record of the last run, or None; ``runs``, ``failures`` and
        ``skipped_overlap`` count since the start.
        """
        with self._changed:
            ahead = self._clock.time() - self._clock.monotonic()
            return [{**slot.describe(ahead), 'last': as_dict(
                self._history.last(slot.name))}
                for slot in self._slots.values()]

    def history(self, name):
        """The records of the last runs of a task, oldest first.

        :raises computed.exception.TaskNotFound: there is no such task
        """
        return self._history.of(self._slot(name).name)

    def digest(self):
        """What fits on a heartbeat: how many tasks there are, which fail and
        which take or wait too long, and when one last went well (seconds
        since 1970, or None).
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

    # -- what follows, down to the next heading, needs the lock

    def _under_way(self):
        return [slot.name for slot in self._slots.values() if slot.run]

    def _look(self, slot, now):
        """Follow the options; keep to the last good ones if they are bad."""
        try:
            slot.timetable.change(now, self._spacing(slot))
        except (cfg.Error, exception.ConfigError) as error:
            LOG.warning('Periodic task %s keeps its interval of %s s: %s',
                        slot.name, slot.timetable.spacing or 0, error)

    def _queue(self, slot):
        slot.queued_at = self._clock.monotonic()
        self._workers.submit(functools.partial(self._work, slot))

    def _tick(self):
        """Do what is due; return the seconds until something will be."""
        now = self._clock.monotonic()
        for slot in self._slots.values():
            if slot.timetable.is_due(now):
                self._look(slot, now)
            if slot.timetable.is_due(now):
                slot.timetable.advance(now)
                self._begin_or_skip(slot)
            if slot.run and not slot.run.late and slot.overdue(now):
                self._give_up_on(slot, now)
        alarms = [alarm for slot in self._slots.values()
                  for alarm in slot.alarms()]
        if self._history.unsaved:
            if self._save_at <= now:
                self._save_at = now + SAVE_INTERVAL
                self._workers.submit(self._history.save)
            alarms.append(self._save_at)
        return max(min(alarms) - now, 0) if alarms else None

    def _begin_or_skip(self, slot):
        if slot.busy:
            slot.skipped_overlap += 1
            metrics.task_runs.labels(slot.name, 'skipped_overlap').inc()
            LOG.debug('Periodic task %s is due and still at it; skipped.',
                      slot.name)
        else:
            self._queue(slot)

    def _give_up_on(self, slot, now):
        """Say where a run hangs, and have another thread instead of its."""
        slot.run.late = True
        metrics.task_runs.labels(slot.name, 'deadline').inc()
        frame = concurrency.frame_of(slot.run.thread)
        LOG.warning(
            'Periodic task %s has run for %.0f s, beyond its deadline of '
            '%.0f s. It cannot be ended; it is at:\n%s',
            slot.name, now - slot.run.began, slot.deadline - slot.run.began,
            ''.join(traceback.format_stack(frame)),
            context=slot.run.context)
        self._workers.add()
        slot.run.replaced = True    # not if there was no thread to be had

    # -- what follows does not

    def _slot(self, name):
        try:
            return self._slots[name]
        except KeyError:
            raise exception.TaskNotFound(name=name) from None

    def _spacing(self, slot):
        """The seconds between two runs as the options are now, or None."""
        spacing = timetable.seconds(slot.task.spacing, self.conf.tasks)
        return spacing if self.conf.periodic_enable else None

    def _watch(self):
        """The scheduler's thread."""
        with self._changed:
            while self._running:
                try:
                    pause = self._tick()
                except Exception:
                    # No thread to be had, perhaps. Were this the end, every
                    # task would cease without a word.
                    LOG.exception('The scheduler of periodic tasks stumbled')
                    pause = PAUSE_AFTER_FAULT
                self._changed.wait(pause)

    def _work(self, slot):
        """One run, in a worker's thread; true if that was replaced."""
        with self._changed:
            if not self._running:
                return False
            run = slot.begin(self._clock.monotonic(), self._clock.time(),
                             threading.get_ident())
            self._changed.notify_all()
        record, retry_after = perform(
            slot, run, self.manager, self._new_context)
        with self._changed:
            now = self._clock.monotonic()
            record.duration = now - run.began
            slot.end(now, record.outcome, retry_after, random.random())
            if record.outcome == history.OK:
                self._last_ok_at = record.ended_at
            self._history.add(record)
            if slot.requests and self._running:
                self._queue(slot)
            self._changed.notify_all()
        if run.late:
            LOG.warning('Periodic task %s has ended after all, after %.0f s.',
                        slot.name, record.duration)
        metrics.task_runs.labels(slot.name, record.outcome).inc()
        metrics.task_duration_seconds.labels(slot.name).observe(
            record.duration)
        for future in run.futures:
            future.set_result(record)
        return run.replaced


def perform(slot, run, manager, new_context):
    """Call a task.

    :returns: its :class:`computed.periodic.history.Record`, without the
        duration, and the seconds after which it was told to come back, or None
    """
    record = history.Record(task=slot.name, started_at=run.started_at,
                            triggered=bool(run.futures))
    reads, retry_after = {}, None
    try:
        run.context = context = new_context()
        # The log lines of this thread are of this request now.
        context.update_store()
        record.request_id = context.request_id
        reads = context.reads.by_role
        context.accept_repairs = run.accept
        if slot.resync:
            context.resync, slot.resync = True, False
        LOG.debug('Periodic task %s begins.', slot.name)
        report = slot.task(manager, context)
        if isinstance(report, periodic.Report):
            record.include(report)
    except exception.PutOff as error:
        record.outcome, record.error = history.PUT_OFF, one_line(error)
        retry_after = error.kwargs.get('retry_after',
                                       timetable.DEFAULT_SPACING)
        slot.resync = isinstance(
            error, exception.Resync | exception.ResyncFull)
        LOG.info('Periodic task %s is put off: %s', slot.name, record.error)
    # Whatever it is, even SystemExit: a task may fail, the runner may not.
    except BaseException as error:
        record.outcome, record.error = history.ERROR, one_line(error)
        LOG.exception('Periodic task %s failed', slot.name)
    record.reads = dict(reads)
    return record, retry_after


def one_line(error):
    """What went wrong, for people: the kind and the first line of it."""
    # This way because it also copes with errors that cannot print themselves.
    text = ''.join(traceback.format_exception_only(error))
    return text.splitlines()[0].removeprefix(f'{type(error).__module__}.')


def as_dict(record):
    """A record as plain values; None stays None."""
    return None if record is None else dataclasses.asdict(record)
