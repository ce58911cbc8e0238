"""``claim``: show the claims that are held, and release dead ones."""

import argparse
import typing

from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.objects import held as held_obj

COLUMNS = ('claim_id', 'kind', 'key', 'host', 'claimed_at', 'holder')
# How many rows a list shows; there are about as many as operations that run.
LIMIT = 1000


def describe(row: held_obj.HeldClaim,
             down_after: float) -> dict[str, typing.Any]:
    """Return what a list shows of a row that is claimed, by column.

    :param down_after: seconds without a heartbeat after which a host is down
    """
    return columns.with_damage({
        'claim_id': row.claim_id,
        'kind': row.kind,
        'key': row.key,
        'host': columns.Cell(row.host),
        'claimed_at': columns.relative(row.claimed_at.timestamp()),
        'holder': holder(row, down_after),
    }, row.damaged_fields())


def holder(row: held_obj.HeldClaim, down_after: float) -> columns.Cell:
    """Return whether the holder of a claim can still end it.

    :param down_after: seconds without a heartbeat after which it is down
    """
    if not row.registered:
        return columns.Cell('gone', 'gone: another service has the host')
    if row.silent_for <= down_after:
        return columns.Cell('up')
    return columns.Cell('silent',
                        f'silent for {columns.span(row.silent_for)}')


class List(base.Lister):
    """List the instances and guests that are claimed.

    A claim lets its holder, the daemon of a host, act on them; no one else
    can. It ends when the work ends. ``claim release`` ends the claim of a
    holder that does not come back.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        base.add_strict(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        found = held_obj.HeldClaimList.get_all(
            self.context, LIMIT, use_slave=not parsed_args.strict)
        down_after = self.conf.service_down_time
        return COLUMNS, [tuple(describe(row, down_after).values())
                         for row in found]


class Release(base.Command):
    """End claims whose holders do not come back.

    The primary refuses it while a holder may be alive. The instances stay as
    they are recorded, and can be worked on again.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('claims', metavar='CLAIM_ID', nargs='+',
                            help='the claim, as `claim list` shows it')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Release each claim, even after an error."""
        released = self.each(parsed_args.claims, self._release)
        return 0 if len(released) == len(parsed_args.claims) else 1

    def _release(self, claim_id: str) -> str:
        for row in held_obj.HeldClaimList.release(
                self.context, claim_id, base.operator()):
            self.say(f'{row.kind} {row.key} is free.')
        return claim_id
