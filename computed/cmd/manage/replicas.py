"""``replica``: the database nodes, as one conductor sees them."""

from cliff import lister

from computed.cmd.manage import base
from computed.cmd.manage import columns

COLUMNS = ('node', 'role', 'usable', 'reason', 'age', 'share', 'reads',
           'ejections')


def describe(node):
    """What is shown of a node, by name of the column."""
    share = node['share']
    return {
        'node': node['node'],
        'role': node['role'],
        'usable': node['usable'],
        'reason': columns.Cell(node['reason']),
        'age': columns.seconds(node['age']),
        'share': columns.Cell(
            share, None if share is None else f'{share:.0%}'),
        'reads': columns.Cell(node['reads']),
        'ejections': columns.Cell(node['ejections']),
    }


class List(base.Command, lister.Lister):
    """List the primary and its replicas: how old, how much used, and why."""

    def take_action(self, parsed_args):
        nodes = self.session.conductor.list_replicas(self.context)
        return COLUMNS, [tuple(describe(node).values()) for node in nodes]
