"""Find the periodic tasks of a manager, also those made for oslo.service."""

import functools
import typing

from computed import context
from computed.periodic import task


def collect(manager: object) -> dict[str, task.PeriodicTask]:
    """Return the enabled tasks of ``manager`` by name, with inherited ones.

    The class of the manager decides: a subclass that replaces a task by its
    own task, or by a plain method, has only that.

    Tasks declared with ``oslo_service.periodic_task`` count too. A plain
    method that replaces such a task runs at the times of the task, and None
    removes the task.

    :param manager: an object with tasks, or its class
    :raises ValueError: two tasks have the same name
    """
    cls = manager if isinstance(manager, type) else type(manager)
    found = declared_in(cls)
    for function in added_later(cls):
        found[function._periodic_name] = adopt(function)
    tasks: dict[str, task.PeriodicTask] = {}
    for attribute, declared in found.items():
        if not declared.enabled:
            continue
        # Not task.name: if two managers share a task, it has the name that
        # the later one gave it.
        name = declared.given_name or attribute
        if name in tasks:
            raise ValueError(f'two periodic tasks are named {name}')
        tasks[name] = declared
    return tasks


def declared_in(cls: type) -> dict[str, task.PeriodicTask]:
    """Return the tasks among the attributes of a class and its bases."""
    found: dict[str, task.PeriodicTask] = {}
    for base in reversed(cls.__mro__):
        for attribute, value in vars(base).items():
            if isinstance(value, task.PeriodicTask):
                found[attribute] = value
            elif is_foreign(value):
                found[attribute] = adopt(value, attribute)
            elif not (callable(value) and
                      isinstance(found.get(attribute), AdoptedTask)):
                found.pop(attribute, None)
    return found


# -- tasks declared with oslo_service.periodic_task

class AdoptedTask(task.PeriodicTask):
    """A task that was declared with the decorator of oslo.service."""


def is_foreign(value: object) -> bool:
    """Tell whether the decorator of oslo.service was applied to ``value``."""
    return getattr(value, '_periodic_task', None) is True


def adopt(function: typing.Any, attribute: str | None = None) -> AdoptedTask:
    """Make a task from a function that oslo.service's decorator marked.

    :param attribute: the name of the attribute in the manager. Each run looks
        it up, because oslo.service keeps the function of the base class even
        if a subclass replaces it. None: call ``function`` itself.
    """
    def run(manager: typing.Any,
            context: context.RequestContext) -> task.Report | None:
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


def added_later(cls: typing.Any) -> list[typing.Any]:
    """Return the functions that were given to ``add_periodic_task``.

    oslo.service has them in a table; they are no attribute of any class.
    """
    attributes = [value for base in cls.__mro__
                  for value in vars(base).values()]
    return [function for _, function in getattr(cls, '_periodic_tasks', ())
            if not any(function is value for value in attributes)]
