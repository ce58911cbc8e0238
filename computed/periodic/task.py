"""Define what a periodic task is: a function, a spacing, a name, a report."""

import dataclasses
import functools
import types
import typing
from collections import abc

from computed import context


@dataclasses.dataclass
class Report:
    """What one run of a task found and did. The numbers count instances.

    The service stores it with the record of the run; ``computed-manage task
    show`` displays it.

    :ivar candidates: looked wrong on the tolerant read
    :ivar acted: were repaired
    :ivar failed: the driver failed to repair them
    :ivar recorded: only their recorded state was corrected
    :ivar lost_races: had changed by the time the primary was asked
    :ivar refused: were left alone because of a brake, a mode or an error
    :ivar note: one line for the operator, or None
    """

    candidates: int = 0
    acted: int = 0
    recorded: int = 0
    lost_races: int = 0
    refused: int = 0
    note: str | None = None
    failed: int = 0


# What a task is made of: called with the manager and a new, strict context.
Function = abc.Callable[[typing.Any, context.RequestContext], Report | None]
# The time from one run to the next; see periodic_task().
Spacing = str | float | None
# How old what a task reads may be; doc/source/tasks/index.rst says what each
# class means.
ReadClass = typing.Literal['R0', 'R1', 'R1-light', 'R2']
Reads = abc.Mapping[str, ReadClass]
_NO_READS: Reads = types.MappingProxyType({})


class PeriodicTask:
    """A function that each host runs again and again.

    Make one with :func:`periodic_task`. If it is assigned in the class body
    of a manager, it becomes a method of that name. Logs, metrics and the
    command line use the same name, unless the task was given another one.

    :ivar function: called with the manager and the context
    :ivar name: the name that logs, metrics and the command line use
    :ivar given_name: the name that was given explicitly, or None
    :ivar spacing: see :func:`periodic_task`
    :ivar run_immediately: see :func:`periodic_task`
    :ivar enabled: False if the task does not exist for the service
    :ivar reads: see :func:`periodic_task`
    """

    def __init__(self, function: Function, spacing: Spacing = None,
                 run_immediately: bool = False, enabled: bool = True,
                 name: str | None = None, reads: Reads = _NO_READS) -> None:
        """Make a task; the parameters are those of :func:`periodic_task`."""
        functools.update_wrapper(self, function)
        self.function = function
        self.given_name = name
        self.name = name or function.__name__
        self.spacing = spacing
        self.run_immediately = run_immediately
        self.enabled = enabled
        self.reads = reads

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.given_name or name

    @typing.overload
    def __get__(self, manager: None, owner: type) -> 'PeriodicTask': ...

    @typing.overload
    def __get__(
            self, manager: object, owner: type | None = None,
    ) -> abc.Callable[[context.RequestContext], Report | None]: ...

    def __get__(self, manager: object, owner: type | None = None) -> object:
        """Return the task for a class, and a bound method for an instance."""
        return self if manager is None else functools.partial(self, manager)

    def __call__(self, manager: object,
                 context: context.RequestContext) -> Report | None:
        """Run the task once, in the thread of the caller.

        :param manager: the object that the task works for
        :param context: the context of this run
        :returns: what the function of the task returned
        """
        return self.function(manager, context)


@typing.overload
def periodic_task(function: Function) -> PeriodicTask: ...


@typing.overload
def periodic_task(
        function: None = None, *, spacing: Spacing = None,
        run_immediately: bool = False, enabled: bool = True,
        name: str | None = None, external_process_ok: bool = False,
        reads: Reads = _NO_READS,
) -> abc.Callable[[Function], PeriodicTask]: ...


def periodic_task(
        function: Function | None = None, *, spacing: Spacing = None,
        run_immediately: bool = False, enabled: bool = True,
        name: str | None = None, external_process_ok: bool = False,
        reads: Reads = _NO_READS,
) -> PeriodicTask | abc.Callable[[Function], PeriodicTask]:
    """Declare a periodic task. Use it as a decorator.

    The function is called with the manager and a strict context, in a worker
    thread, and never twice at the same time on one host. If it raises an
    error, the service logs it, counts it and runs the task again later, after
    a pause that grows with each failure. If it raises
    :class:`computed.exception.PutOff`, the service repeats it after
    ``retry_after`` seconds, and does not count a failure.

    :param function: the function, if the decorator is used without
        parentheses
    :param spacing: the *name* of an option in ``[tasks]`` with the seconds
        between two runs. The service reads the option each time it schedules
        the task, so a reload takes effect; 0 turns the task off. A number or
        None has the meaning of oslo.service: a number of seconds, 0 or None
        for 60 s, a negative number for never.
    :param run_immediately: run the task soon after the start of the service,
        instead of at its first regular time
    :param enabled: False removes the task
    :param name: the name of the task; by default the name of the attribute
        it is assigned to
    :param external_process_ok: accepted because oslo.service has it; it has
        no effect
    :param reads: what a run reads of the database, and how old each may be:
        ``{what: class}``. The page of the task shows it.
    :returns: the task, or a decorator that makes it
    """
    if function is not None:
        return PeriodicTask(function)
    return functools.partial(
        PeriodicTask, spacing=spacing, run_immediately=run_immediately,
        enabled=enabled, name=name, reads=reads)
