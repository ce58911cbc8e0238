"""_reclaim_queued_deletes: delete for good what was soft-deleted long ago."""

from computed import context as computed_context
from computed import periodic
from computed import states
from computed.operations import build
from computed.operations import operation
from computed.repair import overdue
from computed.repair import policy
from computed.virt import driver

TASK = '_reclaim_queued_deletes'


class QueuedDeletes(overdue.Overdue):
    """Delete instances that nobody has restored in time.

    The list is R1: a replica may answer, however old, because the claim rests
    on the state, on the time of the delete, and on how long ago that was by
    the clock of the cell.
    """

    name = TASK
    mode_option = 'reclaim_instance_mode'
    timeout_option = 'reclaim_instance_interval'
    fact = ('vm_state', states.SOFT_DELETED)
    since = 'deleted_at'
    # Without a transition: if this service dies, the next pass judges again.
    operations = {'delete': operation.Operation(
        'delete', (), None, build.DELETE.act)}

    def facts(self, manager: policy.Manager,
              row: policy.Row) -> dict[str, object]:
        """Return what the claim on an instance rests on."""
        return {'vm_state': states.SOFT_DELETED, 'task_state': None,
                'deleted_at': row.deleted_at,
                **overdue.lasts(self.timeout(manager))}

    def judge(self, manager: policy.Manager, row: policy.Row,
              guest: driver.InstanceInfo | None) -> policy.Verdict:
        """Return whether the time to restore an instance is over."""
        return policy.Verdict(
            repair='delete' if self.is_due(manager, row) else None)


POLICY = QueuedDeletes()


@periodic.periodic_task(spacing='reclaim_poll_interval',
                        reads={'the instances of its host': 'R1'})
def reclaim_queued_deletes(manager: policy.Manager,
                           context: computed_context.RequestContext
                           ) -> periodic.Report:
    """Delete the instances of this host that can be restored no longer."""
    return POLICY.run(manager, context)
