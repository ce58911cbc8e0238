"""Directives that describe tasks and operations, from the code.

They are ``task``, ``power-states`` and ``operations``.
"""

import reference

from computed import conf
from computed import manager
from computed import states
from computed.operations import build
from computed.operations import power
from computed.operations import soft_delete
from computed.operations import volumes
from computed.periodic import collect
from computed.tasks.power_states import drift

# What the class of a read means for its age; tasks/index.rst says why.
OLD = {
    'R0': 'A replica may answer, as old as ``[database] max_replica_lag``. '
          'An old answer does no harm.',
    'R1': 'A replica may answer, as old as ``[database] max_replica_lag``. '
          'Before anything is done, the primary is asked again.',
    'R1-light': 'A replica may answer, as old as ``[database] '
                'max_replica_lag``. A write refuses to replace a newer row.',
    'R2': 'The primary answers, or a replica that has every change.',
}
# What users request.
ALL_OPERATIONS = (
    build.BUILD, power.START, power.STOP, power.REBOOT, power.REBOOT_HARD,
    power.PAUSE, power.UNPAUSE, volumes.ATTACH, volumes.DETACH,
    soft_delete.SOFT_DELETE, soft_delete.RESTORE, build.DELETE)


class Task(reference.Generated):
    """Describe a task: its options, and what it reads.

    The argument is its name. ``:options:`` names options beside its interval,
    those of other groups as ``group.name``.
    """

    module = manager
    required_arguments = 1
    option_spec = {'options': str.split}

    def lines(self):
        yield from describe_task(self.arguments[0],
                                 self.options.get('options', ()))


def describe_task(name, options):
    """Return the options of a task with their defaults, and its reads."""
    task = collect.collect(manager.ComputeManager)[name]
    yield 'Options'
    for option in (task.spacing, *options):
        yield from (f'    {line}' for line in describe_option(option))
    yield from ('', 'What it reads, and how old that may be')
    for what, read_class in task.reads.items():
        yield f'    {read_class}: {what}. {OLD[read_class]}'
        yield ''


def describe_option(dotted):
    """Return an option, its default, and the first paragraph of its help."""
    group, _, name = dotted.rpartition('.')
    group = group or 'tasks'
    option = next(option for found, options in conf.list_opts()
                  for option in options
                  if (found and found.name, option.dest) == (group, name))
    yield f'``[{group}] {name}`` ({option.default})'
    text, *_ = option.help.strip().split('\n\n')
    yield f'    {" ".join(text.split())}'
    yield ''


def table(rows):
    """Return a table whose first row is its header."""
    yield from ('.. list-table::', '   :header-rows: 1', '')
    for row in rows:
        for number, cell in enumerate(row):
            yield f'   {" *"[not number]} - {cell}'


class PowerStates(reference.Generated):
    """Tell what ``_sync_power_states`` does about each pair of states."""

    module = drift

    def lines(self):
        seen = [states.RUNNING, states.POWER_PAUSED, states.POWER_SUSPENDED,
                states.SHUTDOWN, states.CRASHED, states.NOSTATE]
        rows = [['the record says', *map(states.power_name, seen)]]
        for vm_state in states.VM_STATES:
            verdicts = [drift.judge(vm_state, actual, actual)
                        for actual in seen]
            if any(verdict.repair or verdict.warning for verdict in verdicts):
                rows.append([vm_state, *(
                    verdict.repair or ('warn' if verdict.warning else '')
                    for verdict in verdicts)])
        yield from table(rows)


class Operations(reference.Generated):
    """List the operations: where they begin, and what shows meanwhile."""

    module = manager

    def lines(self):
        yield from table([
            ['operation', 'allowed in', 'task_state meanwhile'], *(
                [f'``{one.name}``', ', '.join(one.from_states) or 'any state',
                 one.task_state] for one in ALL_OPERATIONS)])


def setup(sphinx):
    """Register the directives. Sphinx calls this."""
    for name, directive in (('task', Task), ('power-states', PowerStates),
                            ('operations', Operations)):
        sphinx.add_directive(name, directive)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
