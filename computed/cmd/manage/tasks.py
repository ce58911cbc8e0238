"""``task``: show and run the periodic tasks of one host."""

import argparse
import os
import typing
from collections import abc

from computed import clock
from computed import exception
from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import suggest
from computed.periodic import history

# A table of these fits 80 columns.
COLUMNS = ('name', 'outcome', 'last_run', 'next_run')
LONG = ('name', 'spacing', 'last_run', 'outcome', 'duration', 'candidates',
        'acted', 'lost_races', 'reads', 'next_run')
COUNTS = ('candidates', 'acted', 'failed', 'recorded', 'lost_races',
          'refused')
# How many runs a table shows. Programs get all runs that the host keeps.
SHOWN = 5

# A task as Runner.describe() returns it, or a record of one of its runs.
Task: typing.TypeAlias = abc.Mapping[str, typing.Any]


def describe(task: Task, now: float) -> dict[str, typing.Any]:
    """Return what a list shows of a task, by name of the column.

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


def next_run(task: Task, now: float) -> columns.Cell:
    """Return when a task runs next, or for how long it has been running."""
    cell = columns.relative(task['next_run_at'], now)
    if task['running_since'] is None:
        return cell
    running = columns.span(max(now - task['running_since'], 0))
    return columns.Cell(cell.machine_readable(), f'running for {running}')


def describe_fully(task: Task, history: abc.Sequence[Task],
                   now: float) -> dict[str, typing.Any]:
    """Return all facts about a task, by name of the row.

    :param history: the records of its last runs, oldest first
    :param now: seconds since 1970
    """
    last = task['last'] or {}
    return {
        **describe(task, now),
        'recorded': columns.Cell(last.get('recorded')),
        'failed': columns.Cell(last.get('failed')),
        'refused': columns.Cell(last.get('refused')),
        'error': columns.Cell(last.get('error')),
        'note': columns.Cell(last.get('note')),
        'request_id': columns.Cell(last.get('request_id')),
        'running_since': columns.relative(task['running_since'], now),
        'runs': task['runs'],
        'failures': task['failures'],
        'skipped_overlap': task['skipped_overlap'],
        'history': columns.Cell([plain(record) for record in history], [
            one_line(record) for record in reversed(history[-SHOWN:])]),
    }


def plain(record: Task) -> dict[str, typing.Any]:
    """Return a run for programs."""
    return {**record, 'started_at': columns.timestamp(
        record['started_at']).machine_readable()}


def one_line(record: Task) -> str:
    """Return a run in one line, for people."""
    started = columns.timestamp(record['started_at'])
    parts = [f'{record["outcome"]} in {record["duration"]:.2f} s',
             *(f'{name} {record[name]}' for name in COUNTS
               if record.get(name))]
    return f'{started} {", ".join(parts)}'


def describe_run(record: Task) -> dict[str, typing.Any]:
    """Return what a run found and did, by name of the row."""
    return {
        'name': record['task'],
        'started_at': columns.timestamp(record['started_at']),
        'outcome': record['outcome'],
        'error': columns.Cell(record['error']),
        'duration': columns.seconds(record['duration'], 2),
        **{name: record.get(name, 0) for name in COUNTS},
        'reads': columns.counts(record['reads']),
        'note': columns.Cell(record['note']),
        'request_id': columns.Cell(record['request_id']),
    }


class TaskCommand(base.Command):
    """The base of commands that ask one host, by default this one."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_host(parser)
        return parser

    def host(self, parsed_args: argparse.Namespace) -> str:
        """Return the name of the host to ask."""
        return parsed_args.host or self.conf.host


class List(TaskCommand, base.Lister):
    """List the periodic tasks of a host, with the result of the last run."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--long', action='store_true',
                            help='show all columns')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        tasks = self.session.hosts.list_tasks(
            self.context, self.host(parsed_args))
        now = clock.time()
        shown = LONG if parsed_args.long else COLUMNS
        described = [describe(task, now) for task in tasks]
        return shown, [tuple(task[name] for name in shown)
                       for task in described]


class OneTask(TaskCommand):
    """The base of commands about one task."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('task', metavar='NAME', help='name of the task')
        return parser

    def known_names(self) -> list[suggest.Source]:
        return [*super().known_names(), (
            exception.TaskNotFound, 'name', lambda: [
                task['name'] for task in self.session.hosts.list_tasks(
                    self.context, self.host(self.arguments))])]


class Show(OneTask, base.ShowOne):
    """Show one periodic task of a host, and its last runs."""

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        host, name = self.host(parsed_args), parsed_args.task
        history = self.session.hosts.get_task_history(
            self.context, host, name)
        for task in self.session.hosts.list_tasks(self.context, host):
            if task['name'] == name:
                return self.dict2columns(describe_fully(
                    task, history, clock.time()))
        raise exception.TaskNotFound(name=name)


class Run(OneTask, base.ShowOne):
    """Run a periodic task now and wait for it.

    The exit status is 1 if it fails, and 75 if it could not run now and runs
    again by itself, for example because the primary database is down.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--accept', type=base.at_least(0), metavar='N',
            help='allow this run to repair up to N instances, in spite of '
                 '[tasks] max_repairs_per_pass')
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        super().run(parsed_args)
        return {history.ERROR: 1, history.PUT_OFF: os.EX_TEMPFAIL}.get(
            self.outcome, 0)

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        record = self.session.hosts.run_task(
            self.context, self.host(parsed_args), parsed_args.task,
            accept=parsed_args.accept)
        self.outcome = record['outcome']
        return self.dict2columns(describe_run(record))
