"""Run a task once, and make a record of the run."""

import math
import traceback
import typing
from collections import abc

from oslo_log import log as logging

from computed import context
from computed import exception
from computed import periodic
from computed.periodic import history
from computed.periodic import slot as task_slot
from computed.periodic import timetable

LOG = logging.getLogger(__name__)

# Errors that mean that the run comes too early: what it needs is away, or
# busy. They are no failures of the task.
AWAY = (exception.PutOff, exception.ConductorUnavailable,
        exception.OutcomeUnknown, exception.RequestExpired,
        exception.PrimaryUnavailable, exception.PrimaryReadOnly,
        exception.WrongDatabase, exception.WriteConflict,
        exception.Replaced)

NewContext = abc.Callable[[], context.RequestContext]


def perform(slot: task_slot.Slot, run: task_slot.Run, manager: object,
            new_context: NewContext) -> tuple[history.Record, float]:
    """Call the function of a task; catch every error that it raises.

    :param slot: the task
    :param run: the run that has begun; gets its context
    :param manager: given to the task
    :param new_context: makes the context of the run
    :returns: the record, still without the duration, and the seconds after
        which a run that was put off may be repeated
    """
    record = history.Record(task=slot.name, started_at=run.started_at,
                            triggered=bool(run.futures))
    reads: abc.Mapping[str, int] = {}
    retry_after: float = timetable.DEFAULT_SPACING
    try:
        run.context = context = new_context()
        context.asked_by = f'task {slot.name}'
        # From here on the log lines of this thread carry this request id.
        context.update_store()
        record.request_id = context.request_id
        reads = context.reads.by_role
        context.accept_repairs = run.accept
        if slot.resync:
            context.resync, slot.resync = True, False
        LOG.debug('Periodic task %s begins.', slot.name)
        report: typing.Any = slot.task(manager, context)
        if isinstance(report, periodic.Report):
            record.include(report)
    except AWAY as error:
        retry_after = _put_off(slot, record, error)
    except exception.ComputedError as error:
        record.outcome, record.error = history.ERROR, one_line(error)
        slot.failing.lasts(record.error)
    # Even SystemExit: a task may fail, but not the runner.
    except BaseException as error:
        record.outcome, record.error = history.ERROR, one_line(error)
        LOG.exception('Periodic task %s failed', slot.name)
    if record.outcome != history.PUT_OFF:
        slot.waiting.ends(slot.name)
    if record.outcome == history.OK:
        slot.failing.ends()
    record.reads = dict(reads)
    return record, retry_after


def _put_off(slot: task_slot.Slot, record: history.Record,
             error: exception.ComputedError) -> float:
    """Note that a run came too early; return the seconds to the next try."""
    record.outcome, record.error = history.PUT_OFF, one_line(error)
    slot.resync = isinstance(error, exception.Resync | exception.ResyncFull)
    # Who asks for a run of a task that is off is told; it does not wait.
    if slot.timetable.spacing is not None:
        slot.waiting.lasts(slot.name, record.error)
    if isinstance(error, exception.PutOff):
        return error.kwargs.get('retry_after', timetable.DEFAULT_SPACING)
    return min(timetable.DEFAULT_SPACING, slot.timetable.spacing or math.inf)


def one_line(error: BaseException) -> str:
    """Return the class of an error and the first line of its text."""
    # format_exception_only() also copes with errors whose str() fails.
    text = ''.join(traceback.format_exception_only(error))
    return text.splitlines()[0].removeprefix(f'{type(error).__module__}.')
