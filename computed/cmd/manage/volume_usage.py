"""``instance volume-usage``: what an instance has read and written."""

import argparse
import typing

from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import lookup
from computed.objects import volume_usage as usage_obj

COLUMNS = ('volume_id', 'rd_req', 'rd_bytes', 'wr_req', 'wr_bytes',
           'last_refreshed')


def describe(usage: usage_obj.VolumeUsage,
             now: float | None = None) -> dict[str, typing.Any]:
    """Return what the list shows of one row, by name of the column.

    :param now: seconds since 1970; None: ask the clock
    """
    return columns.with_damage({
        'volume_id': usage.volume_id,
        'rd_req': usage.rd_req, 'rd_bytes': columns.size(usage.rd_bytes or 0),
        'wr_req': usage.wr_req, 'wr_bytes': columns.size(usage.wr_bytes or 0),
        'last_refreshed': columns.relative(
            (usage.last_refreshed or 0) / 1_000_000, now),
    }, usage.damaged_fields())


class Usage(base.Lister):
    """List what an instance has read and written of each volume, ever.

    Volumes that were detached or forgotten are listed too. Formats for
    programs print bytes.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_instance(parser)
        parser.add_argument(
            '--limit', type=base.at_least(1), default=100, metavar='N',
            help='show at most N rows (default: %(default)s)')
        base.add_strict(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        instance = lookup.instance_to_show(self.context, parsed_args)
        found = usage_obj.VolumeUsageList.get_recorded(
            self.context, instance.uuid, parsed_args.limit,
            use_slave=not parsed_args.strict)
        return COLUMNS, [tuple(describe(usage).values()) for usage in found]
