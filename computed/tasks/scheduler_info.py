"""_sync_scheduler_instance_info: tell which instances this host has.

Only a digest is told, as long as nothing has changed.
"""

import typing

from computed import context as computed_context
from computed import periodic
from computed.objects import base
from computed.objects import digest
from computed.objects import instance as instance_obj

if typing.TYPE_CHECKING:
    from computed import manager as manager_module


@periodic.periodic_task(spacing='scheduler_instance_sync_interval',
                        reads={'the instances of its host': 'R0'})
def sync_scheduler_instance_info(
        manager: 'manager_module.ComputeManager',
        context: computed_context.RequestContext) -> periodic.Report:
    """Tell a conductor, which may ask for the whole list.

    The read is R0: an old list only has the whole list told once more.
    """
    if not manager.conf.filter_scheduler.track_instance_changes:
        return periodic.Report(note='track_instance_changes is false')
    conductor = base.conductor_of(context)
    if conductor is None:
        return periodic.Report(note='this process is a conductor itself')
    rows = instance_obj.InstanceList.get_whole_by_host(
        context, manager.host, use_slave=True)
    uuids = sorted(row.uuid for row in rows)
    version = rows.origin.revision if rows.origin is not None else None
    told = (manager.host, version or 0, len(uuids), digest.of_uuids(uuids))
    if conductor.sync_instance_info(context, *told):
        return periodic.Report()
    conductor.sync_instance_info(context, *told, uuids)
    return periodic.Report(recorded=len(uuids), note='the whole list was told')
