"""Delete an instance so that it can be restored, and restore it."""

from computed import exception
from computed import states
from computed.operations import build
from computed.operations import operation
from computed.operations import power


def _soft_delete(manager: operation.Manager,
                 claim: operation.Claim) -> operation.Values:
    if claim.instance.launched_at is None:
        # There is nothing to restore.
        return build.DELETE.act(manager, claim)
    try:
        seen = power.STOP.act(manager, claim)
    except exception.GuestNotFound:
        seen = {'power_state': states.NOSTATE}
    return {**seen, 'vm_state': states.SOFT_DELETED, 'deleted_at': states.NOW}


def _restore(manager: operation.Manager,
             claim: operation.Claim) -> operation.Values:
    return {**power.START.act(manager, claim), 'deleted_at': None}


SOFT_DELETE = operation.Operation(
    'soft delete',
    tuple(state for state in states.VM_STATES
          if state not in (states.SOFT_DELETED, states.DELETED)),
    states.SOFT_DELETING, _soft_delete, takes=power.STOP.takes)
RESTORE = operation.Operation(
    'restore', (states.SOFT_DELETED,), states.RESTORING, _restore)


def delete_instance(manager: operation.Manager, context: operation.Context,
                    uuid: str) -> None:
    """Begin to delete an instance, as ``reclaim_instance_interval`` says."""
    soft = manager.conf.tasks.reclaim_instance_interval > 0
    operation.begin(manager, context, SOFT_DELETE if soft else build.DELETE,
                    uuid)
