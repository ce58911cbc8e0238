"""Start, stop, reboot, pause, unpause."""

from computed import states
from computed.operations import operation
from computed.usage import meter


def _shutdown_timeout(manager: operation.Manager) -> float:
    return manager.conf.virt.shutdown_timeout


def _start(manager: operation.Manager,
           claim: operation.Claim) -> operation.Values:
    manager.driver.power_on(claim)
    return {'vm_state': states.ACTIVE, 'launched_at': states.NOW,
            **operation.observed(manager, claim.uuid)}


def power_off(manager: operation.Manager,
              claim: operation.Claim) -> operation.Values:
    """Power a guest off, whatever its instance is; return what it is now."""
    with meter.last_look(manager, claim):
        manager.driver.power_off(claim, _shutdown_timeout(manager))
    return operation.observed(manager, claim.uuid)


def _stop(manager: operation.Manager,
          claim: operation.Claim) -> operation.Values:
    return {'vm_state': states.STOPPED, **power_off(manager, claim)}


def _reboot(manager: operation.Manager, claim: operation.Claim,
            hard: bool = False) -> operation.Values:
    with meter.last_look(manager, claim):
        manager.driver.reboot(claim, hard, _shutdown_timeout(manager))
    return {'vm_state': states.ACTIVE,
            **operation.observed(manager, claim.uuid)}


def _pause(manager: operation.Manager,
           claim: operation.Claim) -> operation.Values:
    manager.driver.pause(claim)
    return {'vm_state': states.PAUSED,
            **operation.observed(manager, claim.uuid)}


def _unpause(manager: operation.Manager,
             claim: operation.Claim) -> operation.Values:
    manager.driver.unpause(claim)
    return {'vm_state': states.ACTIVE,
            **operation.observed(manager, claim.uuid)}


START = operation.Operation(
    'start', (states.STOPPED,), states.POWERING_ON, _start)
STOP = operation.Operation(
    'stop', (states.ACTIVE, states.PAUSED, states.ERROR),
    states.POWERING_OFF, _stop, takes=_shutdown_timeout)
REBOOT = operation.Operation(
    'reboot', (states.ACTIVE,), states.REBOOTING, _reboot,
    takes=_shutdown_timeout)
# A hard reboot also leaves states that a soft one cannot leave.
REBOOT_HARD = operation.Operation(
    'reboot --hard',
    (states.ACTIVE, states.PAUSED, states.STOPPED, states.ERROR),
    states.REBOOTING_HARD,
    lambda manager, claim: _reboot(manager, claim, hard=True),
    takes=_shutdown_timeout)
PAUSE = operation.Operation(
    'pause', (states.ACTIVE,), states.PAUSING, _pause)
UNPAUSE = operation.Operation(
    'unpause', (states.PAUSED,), states.UNPAUSING, _unpause)
