"""What a periodic task is: a function, a spacing, a name, a report."""

import dataclasses
import functools


@dataclasses.dataclass
class Report:
    """What one run of a task found and did; counts of instances.

    :ivar candidates: looked wrong on the tolerant read
    :ivar acted: repaired
    :ivar recorded: only their recorded state was corrected
    :ivar lost_races: were no longer as they had looked
    :ivar refused: left alone because of a brake, a mode or an error
    :ivar note: one line for people, or None
    """

    candidates: int = 0
    acted: int = 0
    recorded: int = 0
    lost_races: int = 0
    refused: int = 0
    note: str | None = None


class PeriodicTask:
    """A function that each host runs again and again.

    Assigned in a manager's class body it becomes a method of that name, and
    the name is what logs, metrics and the command line call it, unless it
    was given another.

    :ivar spacing: as given, see :func:`periodic_task`
    """

    def __init__(self, function, spacing=None, run_immediately=False,
                 enabled=True, name=None):
        functools.update_wrapper(self, function)
        self.function = function
        self.given_name = name
        self.name = name or function.__name__
        self.spacing = spacing
        self.run_immediately = run_immediately
        self.enabled = enabled

    def __set_name__(self, owner, name):
        self.name = self.given_name or name

    def __get__(self, manager, owner=None):
        return self if manager is None else functools.partial(self, manager)

    def __call__(self, manager, context):
        return self.function(manager, context)


def periodic_task(function=None, *, spacing=None, run_immediately=False,
                  enabled=True, name=None, external_process_ok=False):
    """Declare a periodic task.

    :param spacing: the *name* of an option in ``[tasks]``, in seconds. Not
        its value: the runner looks it up each time it schedules, so that a
        reload takes effect; 0 turns the task off. A number, or nothing, means
        what it means to oslo.service: seconds, 0 or nothing every 60 s,
        negative never.
    :param run_immediately: run soon after the start, not one spacing later
    :param enabled: False removes the task
    :param name: how it is called, if not as the attribute it is assigned to
    :param external_process_ok: for managers written for oslo.service;
        without effect, since tasks never wait for each other here
    """
    if function is not None:
        return PeriodicTask(function)
    return functools.partial(
        PeriodicTask, spacing=spacing, run_immediately=run_immediately,
        enabled=enabled, name=name)
