"""``freeze`` and ``thaw``: stop all acts at once, and let them go on."""

import getpass
import socket

from computed.cmd.manage import base
from computed.objects import freeze as freeze_obj


def asker():
    """Who runs this, for others to ask back."""
    return f'{getpass.getuser()}@{socket.gethostname()}'


class FreezeCommand(base.Command):
    """What the two share."""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--host', metavar='HOST', type=base.not_empty,
            help='this host only; all of them if omitted')
        return parser


class Freeze(FreezeCommand):
    """Let nothing be begun on any host, or on one, until it is thawed.

    Tasks repair nothing and what users ask for is refused, with the reason.
    What was begun is finished, instances keep running, and power states are
    still recorded. Repeated, it changes the reason.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--reason', metavar='TEXT', required=True, type=base.not_empty,
            help='why; shown to everybody who is refused')
        return parser

    def take_action(self, parsed_args):
        found = freeze_obj.Freeze.impose(
            self.context, parsed_args.host, parsed_args.reason, asker())
        self.app.stdout.write(
            f'{found.scope} is frozen since {found.since}: '
            f'{found.reason}\n')


class Thaw(FreezeCommand):
    """End a freeze: that of all hosts, or with --host that of one.

    Either leaves the other as it is.
    """

    def take_action(self, parsed_args):
        host = parsed_args.host
        lifted = freeze_obj.Freeze.lift(self.context, host)
        what = 'of all hosts' if host is None else f'of host {host}'
        self.app.stdout.write(f'The freeze {what} is over.\n' if lifted else
                              f'There was no freeze {what}.\n')
