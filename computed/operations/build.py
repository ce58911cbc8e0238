"""Build an instance that was created for this host, and delete one."""

from computed import states
from computed.operations import operation
from computed.usage import meter
from computed.virt import driver


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


def _delete(manager: operation.Manager,
            claim: operation.Claim) -> operation.Values:
    with meter.last_look(manager, claim):
        manager.driver.destroy(claim)
    return {'vm_state': states.DELETED, 'power_state': states.NOSTATE,
            'deleted': True, 'deleted_at': states.NOW,
            'terminated_at': states.NOW}


BUILD = operation.Operation(
    'build', (states.BUILDING,), states.SPAWNING, _build,
    failed_state=states.ERROR,
    undo=_undo, granted={'build_started_at': states.NOW})
DELETE = operation.Operation('delete', (), states.DELETING, _delete)
