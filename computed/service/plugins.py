"""Tasks and drivers from entry points of this package and of others.

A package adds a task with an entry point in the group ``computed.tasks`` that
names a :class:`computed.periodic.PeriodicTask`, and a driver with one in
``computed.drivers`` that names a subclass of
:class:`computed.virt.driver.ComputeDriver`. If the module that an entry point
names has a function ``register_opts(conf)``, it is called first. So the
options of the package exist before its task or driver.

Entry points are read with the standard library. stevedore forgets which
package brings one, keeps a cache that misses a package changed within two
minutes, and silently takes one of two duplicates.
"""

import inspect
import sys
import typing
from collections import abc
from importlib import metadata

from oslo_config import cfg

import computed
from computed import exception
from computed import periodic
from computed.conf import validation
from computed.virt import driver

TASKS = 'computed.tasks'
DRIVERS = 'computed.drivers'


def load_tasks(conf: cfg.ConfigOpts,
               builtin: abc.Mapping[str, periodic.PeriodicTask]
               ) -> dict[str, periodic.PeriodicTask]:
    """Return all periodic tasks by name: ``builtin`` and those of packages.

    :param builtin: the tasks of this package, by name
    :raises computed.exception.ComputedError: says in one line what is wrong
        with a package or its options
    """
    tasks = dict(builtin)
    owners = dict.fromkeys(builtin, f'computed {computed.__version__}')
    for entry in find(TASKS).values():
        task = load(entry, conf)
        if not isinstance(task, periodic.PeriodicTask):
            raise refusal(entry, f'{entry.value} is not a PeriodicTask')
        name = task.given_name or entry.name
        if name in owners:
            raise exception.DuplicatePlugin(
                group=TASKS, name=name, first=owners[name],
                second=package(entry))
        owners[name] = package(entry)
        if isinstance(task.spacing, str) and task.spacing not in conf.tasks:
            raise refusal(entry, f'its spacing, {task.spacing}, is not '
                          'an option of [tasks]')
        if task.enabled:
            tasks[name] = task
    validation.check(conf)
    return tasks


def load_driver(conf: cfg.ConfigOpts) -> type[driver.ComputeDriver]:
    """Return the class of the driver that ``[virt] driver`` names.

    :raises computed.exception.ConfigError: no package brings this driver
    :raises computed.exception.ComputedError: says in one line what is wrong
        with a package or its options
    """
    found = find(DRIVERS)
    if conf.virt.driver not in found:
        raise exception.ConfigError(
            option='[virt] driver', value=conf.virt.driver,
            problem='there is no driver with this name',
            remedy=f'Installed are: {", ".join(found)}.')
    entry = found[conf.virt.driver]
    cls = load(entry, conf)
    if not (isinstance(cls, type) and issubclass(cls, driver.ComputeDriver)):
        raise refusal(
            entry, f'{entry.value} is not a subclass of ComputeDriver')
    if inspect.isabstract(cls):
        raise refusal(entry, f'{cls.__name__} lacks '
                      f'{", ".join(sorted(cls.__abstractmethods__))}')
    if not cls.cooperative:
        validation.refuse_blocking('[virt] driver', conf.virt.driver)
    validation.check(conf)
    return cls


def find(group: str) -> dict[str, metadata.EntryPoint]:
    """Return the entry points of a group by name, in the order of names.

    :raises computed.exception.DuplicatePlugin: two have the same name
    """
    found: dict[str, metadata.EntryPoint] = {}
    for entry in sorted(metadata.entry_points(group=group),
                        key=lambda entry: (entry.name, package(entry))):
        if entry.name in found:
            raise exception.DuplicatePlugin(
                group=group, name=entry.name,
                first=package(found[entry.name]), second=package(entry))
        found[entry.name] = entry
    return found


def load(entry: metadata.EntryPoint, conf: cfg.ConfigOpts) -> typing.Any:
    """Return what an entry point names; register its options.

    :raises computed.exception.PluginError: it cannot be loaded
    """
    try:
        found = entry.load()
        register = getattr(sys.modules[entry.module], 'register_opts', None)
        if register is not None:
            register(conf)
    except cfg.DuplicateOptError as error:
        raise refusal(entry, f'its option {error.opt_name} exists already '
                      'with another definition') from error
    # Also SystemExit: another package must not end this program silently.
    except (Exception, SystemExit) as error:
        raise unloadable(entry, error) from error
    return found


def unloadable(entry: metadata.EntryPoint, error: BaseException
               ) -> exception.PluginError:
    """Return the error that says why an entry point cannot be loaded."""
    text = ' '.join(str(error).split()).rstrip('.')
    return refusal(entry, f'{type(error).__name__}: {text}')


def refusal(entry: metadata.EntryPoint, problem: str
            ) -> exception.PluginError:
    """Return the error that says what is wrong with a package."""
    return exception.PluginError(
        group=entry.group, name=entry.name, package=package(entry),
        problem=problem)


def package(entry: metadata.EntryPoint) -> str:
    """Return the package that brings an entry point, with its version."""
    return f'{entry.dist.name} {entry.dist.version}'
