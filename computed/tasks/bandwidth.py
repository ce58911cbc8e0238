"""_poll_bandwidth_usage: how many bytes each interface carried, by period.

What is counted and how is decided in :mod:`computed.usage.counters`.
"""

from computed import periodic


@periodic.periodic_task(spacing='bandwidth_poll_interval')
def poll_bandwidth_usage(manager, context):
    """Read the counters of this host's interfaces and write the usage.

    :rtype: computed.periodic.Report
    """
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
