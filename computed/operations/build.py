"""Build an instance that was created for this host, and delete one."""

from oslo_log import log as logging

from computed import exception
from computed import states
from computed.operations import operation
from computed.usage import meter
from computed.virt import driver

LOG = logging.getLogger(__name__)


def _build(manager: operation.Manager,
           claim: operation.Claim) -> operation.Values:
    row = claim.instance
    manager.driver.spawn(claim, driver.InstanceSpec(
        uuid=row.uuid, name=row.name, command=row.command, vcpus=row.vcpus,
        memory_mb=row.memory_mb, disk_gb=row.disk_gb, network=row.network))
    return {'vm_state': states.ACTIVE, 'launched_at': states.NOW,
            **operation.observed(manager, claim.uuid)}


def _undo(manager: operation.Manager, claim: operation.Claim) -> None:
    manager.driver.destroy(claim)


def destroy(manager: operation.Manager,
            claim: operation.Claim) -> operation.Values:
    """Destroy a guest that is not needed; return the columns that say so.

    That is also the first attempt to remove its files.
    """
    files: operation.Values = {'cleaned': True}
    with meter.last_look(manager, claim):
        try:
            manager.driver.destroy(claim)
        except exception.FilesLeft as error:
            LOG.warning('Instance %(instance)s: %(error)s The task '
                        '_run_pending_deletes tries it again.',
                        {'instance': claim.label, 'error': error})
            files = {'cleaned': False, 'clean_attempts': 1,
                     'clean_failed': False}
    return {'power_state': states.NOSTATE, 'terminated_at': states.NOW,
            **files}


def _delete(manager: operation.Manager,
            claim: operation.Claim) -> operation.Values:
    return {'vm_state': states.DELETED, 'deleted': True,
            'deleted_at': states.NOW, **destroy(manager, claim)}


BUILD = operation.Operation(
    'build', (states.BUILDING,), states.SPAWNING, _build,
    failed=operation.is_error,
    undo=_undo, granted={'build_started_at': states.NOW})
DELETE = operation.Operation('delete', (), states.DELETING, _delete)
