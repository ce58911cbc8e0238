"""The options of libraries and packages that are registered late.

Each is registered by the module that uses it first. So the check of the files
asks here before it refuses one.
"""

import contextlib
from collections import abc
from importlib import metadata

from oslo_config import cfg

from computed import exception
from computed.conf import spelling

ENTRY_POINTS = 'oslo.config.opts'
# Those of libraries; what is used most comes first. oslo.config has only
# examples there, and of oslo.reports this package has the options itself.
LIBRARIES = ('oslo.log', 'oslo.db', 'oslo.concurrency', 'oslo.messaging',
             'oslo.service.service', 'oslo.service.periodic_task',
             'oslo.versionedobjects', 'oslo.metrics', 'oslo.policy',
             'oslo.middleware')

# The program that runs tasks and drivers. So it has their packages.
HOST = 'computed'


def check(conf: cfg.ConfigOpts, prog: str | None,
          warn: abc.Callable[[str], object]) -> None:
    """Refuse the first section or option that nobody reads.

    :param prog: the name of the program. One that is not a host refuses only
        what is like a known name: other packages may be on hosts only.
    :param warn: called with one line about each one that is let through
    :raises computed.exception.UnknownOption: names the nearest right one
    :raises computed.exception.PluginError: see :func:`all_of`
    """
    spelling.check(conf, all_of, None if prog == HOST else warn)


def all_of() -> abc.Iterator[spelling.Options]:
    """Return the options of one library or package after another.

    :raises computed.exception.PluginError: they cannot be had from one. Then
        nobody knows which options are right.
    """
    # Commands that have no need for drivers do not load them.
    from computed.service import plugins
    found = {entry.name: entry
             for entry in metadata.entry_points(group=ENTRY_POINTS)}
    for name in LIBRARIES:
        if name in found:
            yield _listed(found.pop(name))
    packages = set()
    for group in (plugins.TASKS, plugins.DRIVERS):
        # What is wrong with a package is said when it is used.
        with contextlib.suppress(exception.ComputedError):
            for entry in plugins.find(group).values():
                packages.add(entry.dist.name)
                yield _of_plugin(entry)
    for entry in found.values():
        if entry.dist.name in packages:
            yield _listed(entry)


def _listed(entry: metadata.EntryPoint) -> spelling.Options:
    """Return what a function lists that lists options."""
    from computed.service import plugins
    try:
        return list(entry.load()())
    # Also SystemExit: another package must not end this program silently.
    except (Exception, SystemExit) as error:
        raise plugins.unloadable(entry, error) from error


def _of_plugin(entry: metadata.EntryPoint) -> spelling.Options:
    """Return what the module of a task or a driver registers."""
    from computed.service import plugins
    conf = cfg.ConfigOpts()
    with contextlib.suppress(exception.ComputedError):
        plugins.load(entry, conf)
    return [*((name, [one['opt'] for one in group._opts.values()])
              for name, group in conf._groups.items()),
            (None, [one['opt'] for one in conf._opts.values()])]
