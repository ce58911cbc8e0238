"""_reclaim_queued_deletes: delete for good what was soft-deleted long ago."""

import typing

from computed import context as computed_context
from computed import periodic
from computed import states
from computed.operations import build
from computed.operations import operation
from computed.repair import engine
from computed.repair import overdue
from computed.repair import policy
from computed.virt import driver

TASK = '_reclaim_queued_deletes'


def is_due(row: typing.Any, now: float, interval: int) -> bool:
    """Return whether an instance was soft-deleted long enough ago. Pure.

    :param now: the time of the database, in seconds since 1970
    :param interval: seconds for which it can be restored; 0: for ever
    """
    return (row.vm_state == states.SOFT_DELETED and
            overdue.is_over(row.deleted_at, now, interval))


class QueuedDeletes(policy.Policy):
    """Delete instances that nobody has restored in time.

    The list is R1: a replica may answer, however old, because the claim rests
    on the state, on the time of the delete, and on how long ago that was by
    the clock of the cell.
    """

    name = TASK
    mode_option = 'reclaim_instance_mode'
    looks_at_guests = False
    # Without a transition: if this service dies, the next pass judges again.
    operations = {'delete': operation.Operation(
        'delete', (), None, build.DELETE.act)}

    def facts(self, manager: policy.Manager,
              row: policy.Row) -> dict[str, object]:
        """Return what the claim on an instance rests on."""
        return {'vm_state': states.SOFT_DELETED, 'task_state': None,
                'deleted_at': row.deleted_at,
                # The clock of the database can be set.
                'seconds_in_state':
                    manager.conf.tasks.reclaim_instance_interval}

    def judge(self, manager: policy.Manager, row: policy.Row,
              guest: driver.InstanceInfo | None) -> policy.Verdict:
        """Return whether the time to restore an instance is over."""
        due = is_due(row, manager.database_time.now(),
                     manager.conf.tasks.reclaim_instance_interval)
        return policy.Verdict(repair='delete' if due else None)


POLICY = QueuedDeletes()


@periodic.periodic_task(spacing='reclaim_poll_interval')
def reclaim_queued_deletes(manager: policy.Manager,
                           context: computed_context.RequestContext
                           ) -> periodic.Report:
    """Delete the instances of this host that can be restored no longer."""
    if not manager.conf.tasks.reclaim_instance_interval:
        return periodic.Report(note='[tasks] reclaim_instance_interval is 0')
    return engine.run(manager, context, POLICY)
