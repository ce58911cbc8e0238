"""Errors of starting and of the configuration."""

from computed.exception.base import ComputedError


class ConfigError(ComputedError):
    """{option} = {value}: {problem}. {remedy}"""


class UnknownOption(ConfigError):
    """{path}: {what} is no {kind} that computed reads. {remedy}"""


class PluginError(ComputedError):
    """Entry point {name} of {group}, from package {package}: {problem}. \
Correct or uninstall that package."""


class DuplicatePlugin(ComputedError):
    """Both {first} and {second} provide {name} of {group}. Uninstall one."""


class FileDamaged(ComputedError):
    """{path} is damaged: {reason}. It is left as it is. {remedy}"""


class StatePathUnwritable(ComputedError):
    """{path} cannot be written: {reason}. Free some room there, or make it \
writable."""


class AlreadyRunning(ComputedError):
    """Another computed (pid {pid}) already uses {path}. Stop it, or give \
this one another --state-path."""


class TaskNotFound(ComputedError):
    """There is no periodic task {name}. `computed-manage task list` shows \
all."""
