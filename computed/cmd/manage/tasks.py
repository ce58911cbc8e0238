"""``task``: the periodic tasks of one host."""

import time

from computed import exception
from computed.cmd.manage import base
from computed.cmd.manage import columns

COLUMNS = ('name', 'spacing', 'last_run', 'outcome', 'duration',
           'candidates', 'acted', 'lost_races', 'reads', 'next_run')
COUNTS = ('candidates', 'acted', 'recorded', 'lost_races', 'refused')
# How many runs people see; programs get all that are kept.
SHOWN = 5


def describe(task, now):
    """What a list shows of a task, by name of the column.

    :param task: as ``Runner.describe`` has it
    :param now: seconds since 1970
    """
    last = task['last'] or {}
    return {
        'name': task['name'],
        'spacing': columns.Cell(
            task['spacing'],
            f'{task["spacing"]:g} s' if task['spacing'] else 'off'),
        'last_run': columns.relative(last.get('started_at'), now),
        'outcome': columns.Cell(last.get('outcome')),
        'duration': columns.seconds(last.get('duration'), 2),
        'candidates': columns.Cell(last.get('candidates')),
        'acted': columns.Cell(last.get('acted')),
        'lost_races': columns.Cell(last.get('lost_races')),
        'reads': columns.counts(last.get('reads')),
        'next_run': next_run(task, now),
    }


def next_run(task, now):
    """When a task runs next, or since when it does."""
    cell = columns.relative(task['next_run_at'], now)
    if task['running_since'] is None:
        return cell
    running = columns.span(max(now - task['running_since'], 0))
    return columns.Cell(cell.machine_readable(), f'running for {running}')


def describe_fully(task, history, now):
    """All that is known of a task.

    :param history: the records of its last runs, oldest first
    """
    last = task['last'] or {}
    return {
        **describe(task, now),
        'recorded': columns.Cell(last.get('recorded')),
        'refused': columns.Cell(last.get('refused')),
        'error': columns.Cell(last.get('error')),
        'note': columns.Cell(last.get('note')),
        'request_id': columns.Cell(last.get('request_id')),
        'running_since': columns.relative(task['running_since'], now),
        'runs': task['runs'],
        'failures': task['failures'],
        'skipped_overlap': task['skipped_overlap'],
        'history': columns.Cell(history, '\n'.join(
            one_line(record) for record in reversed(history[-SHOWN:]))),
    }


def one_line(record):
    """A run in one line, for people."""
    started = columns.timestamp(record['started_at'])
    parts = [f'{record["outcome"]} in {record["duration"]:.2f} s',
             *(f'{name} {record[name]}' for name in COUNTS if record[name])]
    return f'{started} {", ".join(parts)}'


def describe_run(record):
    """What a run found and did, by name of the column."""
    return {
        'name': record['task'],
        'started_at': columns.timestamp(record['started_at']),
        'outcome': record['outcome'],
        'error': columns.Cell(record['error']),
        'duration': columns.seconds(record['duration'], 2),
        **{name: record[name] for name in COUNTS},
        'reads': columns.counts(record['reads']),
        'note': columns.Cell(record['note']),
        'request_id': columns.Cell(record['request_id']),
    }


class TaskCommand(base.Command):
    """Asks one host, by default this one."""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        base.add_host(parser)
        return parser

    def host(self, parsed_args):
        return parsed_args.host or self.conf.host


class List(TaskCommand, base.Lister):
    """List the periodic tasks of a host, and how they last went."""

    def take_action(self, parsed_args):
        tasks = self.session.hosts.list_tasks(
            self.context, self.host(parsed_args))
        now = time.time()
        return COLUMNS, [tuple(describe(task, now).values())
                         for task in tasks]


class Show(TaskCommand, base.ShowOne):
    """Show one periodic task of a host, and its last runs."""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument('task', metavar='NAME')
        return parser

    def take_action(self, parsed_args):
        host, name = self.host(parsed_args), parsed_args.task
        history = self.session.hosts.get_task_history(
            self.context, host, name)
        for task in self.session.hosts.list_tasks(self.context, host):
            if task['name'] == name:
                return self.dict2columns(describe_fully(
                    task, history, time.time()))
        raise exception.TaskNotFound(name=name)


class Run(TaskCommand, base.ShowOne):
    """Run a periodic task now and wait for it; exit with 1 if it fails."""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument('task', metavar='NAME')
        parser.add_argument(
            '--accept', type=base.at_least(0), metavar='N',
            help='let this one run repair up to N instances, whatever '
                 '[tasks] max_repairs_per_pass says')
        return parser

    def run(self, parsed_args):
        super().run(parsed_args)
        return 1 if self.outcome == 'error' else 0

    def take_action(self, parsed_args):
        record = self.session.hosts.run_task(
            self.context, self.host(parsed_args), parsed_args.task,
            accept=parsed_args.accept)
        self.outcome = record['outcome']
        return self.dict2columns(describe_run(record))
