"""``instance usage``: the bytes that an instance has carried, by period."""

import argparse
import typing

from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import lookup
from computed.objects import bandwidth as bandwidth_obj

COLUMNS = ('start_period', 'mac_address', 'bw_in', 'bw_out', 'last_refreshed')


def describe(usage: bandwidth_obj.BandwidthUsage,
             now: float | None = None) -> dict[str, typing.Any]:
    """Return what the list shows of one row, by name of the column.

    :param now: seconds since 1970; None: ask the clock
    """
    return columns.with_damage({
        'start_period': columns.timestamp(usage.start_period),
        'mac_address': usage.mac_address,
        'bw_in': columns.size(usage.bw_in),
        'bw_out': columns.size(usage.bw_out),
        'last_refreshed': columns.relative(
            usage.last_refreshed / 1_000_000, now),
    }, usage.damaged_fields())


class Recorded(base.Lister):
    """List rows that are recorded of one instance."""

    COLUMNS: tuple[str, ...] = ()

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
        return self.COLUMNS, [tuple(row.values()) for row in self.described(
            instance.uuid, parsed_args.limit, not parsed_args.strict)]

    def described(self, uuid: str, limit: int, use_slave: bool
                  ) -> list[dict[str, typing.Any]]:
        """Return the rows of an instance, by name of the column."""
        raise NotImplementedError


class Usage(Recorded):
    """List the traffic of each interface of an instance, newest period first.

    In and out are as the guest sees them. Formats for programs print bytes.
    """

    COLUMNS = COLUMNS

    def described(self, uuid: str, limit: int, use_slave: bool
                  ) -> list[dict[str, typing.Any]]:
        return [describe(usage) for usage in
                bandwidth_obj.BandwidthUsageList.get_by_uuid(
                    self.context, uuid, limit, use_slave=use_slave)]
