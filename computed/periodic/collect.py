"""Which periodic tasks a manager has, those for oslo.service included."""

import functools

from computed.periodic import task


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
            if isinstance(value, task.PeriodicTask):
                found[attribute] = value
            elif is_foreign(value):
                found[attribute] = adopt(value, attribute)
            elif not (callable(value) and
                      isinstance(found.get(attribute), AdoptedTask)):
                found.pop(attribute, None)
    for function in added_later(cls):
        found[function._periodic_name] = adopt(function)
    tasks = {}
    for attribute, declared in found.items():
        if not declared.enabled:
            continue
        # Not task.name: a task that two managers share has the name that
        # the later of them gave it.
        name = declared.given_name or attribute
        if name in tasks:
            raise ValueError(f'two periodic tasks are named {name}')
        tasks[name] = declared
    return tasks


# -- tasks declared with oslo_service.periodic_task

class AdoptedTask(task.PeriodicTask):
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
            return task.Report(note='left to another process: '
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
