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


def collect(manager):
    """The periodic tasks of ``manager`` by name, inherited ones included.

    What an attribute *is* now counts: a subclass that replaces a task by its
    own, or by a plain method, has only that. Tasks declared with
    ``oslo_service.periodic_task`` are understood, too; there a plain method
    in place of a task runs when the task would have, and None takes it away.

    :param manager: an object with tasks, or its class
    :raises ValueError: two tasks have the same name
    """
    cls = manager if isinstance(manager, type) else type(manager)
    found = {}
    for base in reversed(cls.__mro__):
        for attribute, value in vars(base).items():
            if isinstance(value, PeriodicTask):
                found[attribute] = value
            elif is_foreign(value):
                found[attribute] = adopt(value, attribute)
            elif not (callable(value) and
                      isinstance(found.get(attribute), AdoptedTask)):
                found.pop(attribute, None)
    for function in added_later(cls):
        found[function._periodic_name] = adopt(function)
    tasks = {}
    for attribute, task in found.items():
        if not task.enabled:
            continue
        # Not task.name: a task that two managers share has the name that
        # the later of them gave it.
        name = task.given_name or attribute
        if name in tasks:
            raise ValueError(f'two periodic tasks are named {name}')
        tasks[name] = task
    return tasks


# -- tasks declared with oslo_service.periodic_task

class AdoptedTask(PeriodicTask):
    """A task that was declared with oslo.service's decorator."""


def is_foreign(value):
    """Whether oslo.service's decorator was here; it leaves marks."""
    return getattr(value, '_periodic_task', None) is True


def adopt(function, attribute=None):
    """A task of ours made of one of oslo.service's.

    :param attribute: what the manager calls it. It is looked up anew by each
        run, for the table that oslo.service keeps has the function of the
        base class even where a subclass has another.
    """
    def run(manager, context):
        if function._periodic_external_ok and not getattr(
                manager.conf, 'run_external_periodic_tasks', True):
            return Report(note='left to another process: '
                               'run_external_periodic_tasks is false')
        if attribute is None:
            return function(manager, context)
        return getattr(manager, attribute)(context)

    return AdoptedTask(
        functools.wraps(function)(run), spacing=function._periodic_spacing,
        run_immediately=function._periodic_immediate,
        enabled=function._periodic_enabled, name=function._periodic_name)


def added_later(cls):
    """The functions given to ``add_periodic_task``: in oslo.service's table,
    and no attribute of any class.
    """
    attributes = [value for base in cls.__mro__
                  for value in vars(base).values()]
    return [function for _, function in getattr(cls, '_periodic_tasks', ())
            if not any(function is value for value in attributes)]
