"""_poll_bandwidth_usage: record the bytes of each interface, by period.

How bytes are counted is decided in :mod:`computed.usage.counters`.
"""

import typing

from computed import context as computed_context
from computed import periodic

if typing.TYPE_CHECKING:
    from computed import manager as manager_module


@periodic.periodic_task(spacing='bandwidth_poll_interval', reads={
    'what earlier runs of the service have recorded of an interface': 'R2'})
def poll_bandwidth_usage(
        manager: 'manager_module.ComputeManager',
        context: computed_context.RequestContext) -> periodic.Report:
    """Read the counters of this host's interfaces and write the usage."""
    if not manager.meter.able:
        return periodic.Report(note='the driver counts no bytes')
    snapshot = manager.calls.list_instances()
    if not snapshot.complete:
        return periodic.Report(note='the list of guests is incomplete')
    ours = [uuid for uuid, info in snapshot.instances.items()
            if info.owner == manager.claims.owner]
    refused = manager.meter.look(ours)
    return periodic.Report(
        refused=refused,
        recorded=manager.meter.write(context, present=frozenset(ours)))
