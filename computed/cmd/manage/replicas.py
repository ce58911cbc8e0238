"""``replica``: show the database nodes as one conductor sees them."""

import argparse
import typing
from collections import abc

from computed import clock
from computed import exception
from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.cmd.manage import suggest

COLUMNS = ('node', 'role', 'usable', 'reason', 'since', 'age', 'share',
           'reads', 'ejections')


Node: typing.TypeAlias = abc.Mapping[str, typing.Any]


def describe(node: Node) -> dict[str, typing.Any]:
    """Return what a list shows of a node, by name of the column.

    :param node: as a conductor describes it
    """
    share, reason = node['share'], node['reason']
    # A conductor of another release may not tell these.
    if node.get('problem'):
        reason = f"{reason}: {node['problem']}"
    since = node.get('down_for')
    return {
        'node': node['node'],
        'role': node['role'],
        'usable': node['usable'],
        'reason': columns.Cell(reason),
        'since': columns.relative(since and clock.time() - since),
        'age': columns.seconds(node['age']),
        'share': columns.Cell(
            share, None if share is None else f'{share:.0%}'),
        'reads': columns.Cell(node['reads']),
        'ejections': columns.Cell(node['ejections']),
    }


class List(base.Lister):
    """List the primary and its replicas, with their age and use."""

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        nodes = self.session.conductor.list_replicas(self.context)
        return COLUMNS, [tuple(describe(node).values()) for node in nodes]


class Show(base.ShowOne):
    """Show one database node: its state, and the reads that it answered."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'node', metavar='NODE',
            help='address of the node, as `replica list` shows it')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Output:
        nodes = {node['node']: node for node in
                 self.session.conductor.list_replicas(self.context)}
        if parsed_args.node not in nodes:
            raise exception.ComputedError(suggest.explained(
                exception.NodeNotFound(node=parsed_args.node),
                [(exception.NodeNotFound, 'node', lambda: nodes)]))
        return self.dict2columns(describe_fully(nodes[parsed_args.node]))


def describe_fully(node: Node) -> dict[str, typing.Any]:
    """Return all facts about a node, by name of the row."""
    found = describe(node)
    found['age_measured_by'] = columns.Cell(measured_by(node))
    for name in ('identity', 'incarnation', 'schema', 'good_samples'):
        if name in node:
            found[name] = columns.Cell(node[name])
    if 'latency' in node:
        found['latency'] = columns.seconds(node['latency'], 4)
    if 'fallback' in node:
        found['fallback'] = columns.Cell(
            node['fallback'], '{reads_per_second:g} reads/s and '
            '{concurrency} at once, {running} now; {conductors} conductors '
            'share them'.format(**node['fallback']))
    for query, reasons in sorted(node.get('queries', {}).items()):
        found[f'reads of {query}'] = columns.counts(reasons)
    return found


def measured_by(node: Node) -> str | None:
    """Return the measurement from which the age of a node is known."""
    if 'heartbeat_seen' not in node:
        return None
    if node['heartbeat_seen'] is None:
        return 'no heartbeat of this conductor was seen there yet'
    return (f"heartbeat {node['heartbeat_seen']} of this conductor was seen "
            f"there; {node['heartbeat_sent']} were sent")
