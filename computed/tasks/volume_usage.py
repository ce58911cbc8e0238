"""_poll_volume_usage: record what instances read and write of volumes.

How it is counted is decided in :mod:`computed.usage.volumes`.
"""

import typing

from computed import context as computed_context
from computed import periodic

if typing.TYPE_CHECKING:
    from computed import manager as manager_module

# A pass goes on asking guests for at least this long, in seconds.
LEAST = 60


@periodic.periodic_task(spacing='volume_usage_poll_interval', reads={
    'the volumes of the instances of its host, and their rows': 'R1-light'})
def poll_volume_usage(
        manager: 'manager_module.ComputeManager',
        context: computed_context.RequestContext) -> periodic.Report:
    """Read the counters of this host's volumes and write the usage."""
    if not manager.volume_meter.able:
        return periodic.Report(note='the driver counts no bytes of volumes')
    found = manager.volume_meter.poll(context, max(
        LEAST, manager.conf.tasks.volume_usage_poll_interval))
    return periodic.Report(
        recorded=found.recorded, refused=found.refused, failed=found.silent,
        note=f'{found.silent} guests did not answer' if found.silent
        else None)
