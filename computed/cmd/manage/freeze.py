"""``freeze`` and ``thaw``: refuse all new work, and allow it again."""

import argparse

from computed import chance
from computed.cmd.manage import base
from computed.objects import freeze as freeze_obj


class FreezeCommand(base.Command):
    """The base of both commands."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        scope = parser.add_mutually_exclusive_group(required=True)
        scope.add_argument('--host', metavar='HOST', type=base.not_empty,
                           help='only this host')
        scope.add_argument('--all', action='store_true', help='all hosts')
        return parser


class Freeze(FreezeCommand):
    """Refuse new work on all hosts, or on one, until thaw.

    Tasks repair nothing, and requests of users are refused with the reason.
    Work that has begun is finished, instances keep running, and power states
    are still recorded. Repeat the command to change the reason.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--reason', metavar='TEXT', required=True, type=base.not_empty,
            help='why; shown in each refusal')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        found = freeze_obj.Freeze.impose(
            self.context, parsed_args.host, parsed_args.reason,
            base.operator(), chance.uuid())
        self.say(f'{found.scope} is frozen since {found.since}: '
                 f'{found.reason}')


class Thaw(FreezeCommand):
    """End the freeze of all hosts, or the freeze of one host.

    A freeze of all hosts and a freeze of one host are independent: each
    needs its own thaw.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        host = parsed_args.host
        found = freeze_obj.Freeze.get_by_host(self.context, host)
        lifted = found is not None and freeze_obj.Freeze.lift(
            self.context, host, found.freeze_id)
        what = 'of all hosts' if host is None else f'of host {host}'
        self.say(f'The freeze {what} has ended.' if lifted else
                 f'There was no freeze {what}.')
