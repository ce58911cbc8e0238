"""``instance events`` and ``host events``: what was done, and by whom."""

import argparse
import contextlib
import datetime
import functools
import typing
from collections import abc

from computed import clock
from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import lookup
from computed.cmd.manage import paging
from computed.objects import event as event_obj
from computed.objects import host as host_obj

COLUMNS = ('began_at', 'instance', 'host', 'operation', 'asked_by',
           'states', 'result', 'took', 'reason', 'fault', 'uuid',
           'request_id')


def describe(event: event_obj.Event) -> dict[str, typing.Any]:
    """Return what the list shows of one act, by name of the column."""
    both = [event.state_before, event.state_after]
    ended = event.ended_at
    took = ended and (ended - event.began_at).total_seconds()
    return columns.with_damage({
        'began_at': columns.timestamp(event.began_at),
        'instance': columns.Cell(event.name),
        'host': columns.Cell(event.host),
        'operation': event.operation,
        'asked_by': event.asked_by,
        'states': columns.Cell(
            both, ' -> '.join(state for state in both if state) or '-'),
        'result': columns.Cell(event.result, event.result or 'goes on'),
        'took': columns.seconds(took),
        'reason': columns.Cell(event.reason),
        'fault': columns.Cell(event.fault),
        'uuid': columns.Cell(event.uuid),
        'request_id': columns.Cell(event.request_id),
    }, event.damaged_fields())


def since(text: str) -> float:
    """Return a moment in seconds since 1970; a type for arguments.

    :param text: a time in ISO 8601, UTC if it names no zone, or for how long
        to look back: ``30min``, ``2h``, ``7d``
    :raises argparse.ArgumentTypeError: it is neither
    """
    with contextlib.suppress(argparse.ArgumentTypeError):
        return max(0.0, clock.time() - base.duration(text))
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return max(0.0, moment.timestamp())
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f'{text} is neither a time, such as 2026-11-29T12:00, nor for '
            'how long to look back, such as 30min, 2h or 7d') from None


class Events(base.Lister):
    """The base of both commands."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--since', metavar='TIME', type=since,
            help='only what began at this time or later: a time, such as '
                 '2026-11-29T12:00 (UTC), or for how long to look back, such '
                 'as 30min, 2h or 7d')
        base.add_page(parser)
        base.add_strict(parser)
        return parser

    def listed(self, read: paging.Read, parsed_args: argparse.Namespace,
               none: abc.Callable[[], object]) -> base.Output:
        """Return the acts that ``read`` finds, the newest first.

        :param none: see :func:`paging.rows`
        """
        found = paging.rows(
            functools.partial(read, since=parsed_args.since,
                              use_slave=not parsed_args.strict),
            parsed_args.limit, parsed_args.marker, self.more, none)
        return COLUMNS, (tuple(describe(event).values()) for event in found)


class OfInstance(Events):
    """List what was done to an instance, the newest act first.

    Deleted instances are found, too. A name finds all instances that had it
    at the time of an act.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_instance(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        name = parsed_args.instance
        return self.listed(
            functools.partial(
                event_obj.EventList.get_by_instance, self.context,
                lookup.as_uuid(name) or name), parsed_args,
            lambda: lookup.instance(self.context, name, deleted=True))


class OfHost(Events):
    """List what was done on a host and to it, the newest act first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        scope = parser.add_mutually_exclusive_group()
        scope.add_argument('host', metavar='HOST', nargs='?',
                           help='name of the host (default: this host)')
        scope.add_argument(
            '--all', action='store_true',
            help='only what was done to all hosts, such as a freeze')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        host = None if parsed_args.all else parsed_args.host or self.conf.host
        return self.listed(
            functools.partial(
                event_obj.EventList.get_by_host, self.context, host),
            parsed_args, lambda: host is None or host_obj.Host.get_by_name(
                self.context, host, use_slave=False))
