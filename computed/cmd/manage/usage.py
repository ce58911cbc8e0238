"""``instance usage``: the bytes an instance carried, by period."""

from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import lookup
from computed.objects import bandwidth as bandwidth_obj

COLUMNS = ('start_period', 'mac_address', 'bw_in', 'bw_out', 'last_refreshed')


def describe(usage, now=None):
    """What the list shows of a BandwidthUsage, by name of the column."""
    return {
        'start_period': columns.timestamp(usage.start_period),
        'mac_address': usage.mac_address,
        'bw_in': columns.size(usage.bw_in),
        'bw_out': columns.size(usage.bw_out),
        'last_refreshed': columns.relative(
            usage.last_refreshed / 1_000_000, now),
    }


class Usage(base.Lister):
    """List what each interface of an instance carried, newest period first.

    In and out are the guest's; bytes to programs.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument('instance', metavar='NAME_OR_UUID')
        parser.add_argument(
            '--limit', type=base.at_least(1), default=100, metavar='N',
            help='how many rows at most (default: %(default)s)')
        base.add_strict(parser)
        return parser

    def take_action(self, parsed_args):
        instance = lookup.instance(self.context, parsed_args.instance,
                                   tolerant=not parsed_args.strict,
                                   deleted=True)
        found = bandwidth_obj.BandwidthUsageList.get_by_uuid(
            self.context, instance.uuid, parsed_args.limit,
            use_slave=not parsed_args.strict)
        return COLUMNS, [tuple(describe(usage).values()) for usage in found]
