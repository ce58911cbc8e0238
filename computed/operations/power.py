"""Start, stop, reboot, pause, unpause."""

from computed import states
from computed.operations import operation
from computed.usage import meter


def _shutdown_timeout(manager):
    return manager.conf.virt.shutdown_timeout


def _start(manager, claim):
    manager.driver.power_on(claim)
    return {'vm_state': states.ACTIVE, 'launched_at': states.NOW,
            **operation.observed(manager, claim.uuid)}


def _stop(manager, claim):
    with meter.last_look(manager, claim):
        manager.driver.power_off(claim, _shutdown_timeout(manager))
    return {'vm_state': states.STOPPED,
            **operation.observed(manager, claim.uuid)}


def _reboot(manager, claim, hard=False):
    with meter.last_look(manager, claim):
        manager.driver.reboot(claim, hard, _shutdown_timeout(manager))
    return {'vm_state': states.ACTIVE,
            **operation.observed(manager, claim.uuid)}


def _pause(manager, claim):
    manager.driver.pause(claim)
    return {'vm_state': states.PAUSED,
            **operation.observed(manager, claim.uuid)}


def _unpause(manager, claim):
    manager.driver.unpause(claim)
    return {'vm_state': states.ACTIVE,
            **operation.observed(manager, claim.uuid)}


START = operation.Operation(
    'start', (states.STOPPED,), states.POWERING_ON, _start)
STOP = operation.Operation(
    'stop', (states.ACTIVE, states.PAUSED, states.ERROR),
    states.POWERING_OFF, _stop)
REBOOT = operation.Operation(
    'reboot', (states.ACTIVE,), states.REBOOTING, _reboot)
# Hard is also the way out of states that a soft one cannot leave.
REBOOT_HARD = operation.Operation(
    'reboot --hard',
    (states.ACTIVE, states.PAUSED, states.STOPPED, states.ERROR),
    states.REBOOTING_HARD,
    lambda manager, claim: _reboot(manager, claim, hard=True))
PAUSE = operation.Operation(
    'pause', (states.ACTIVE,), states.PAUSING, _pause)
UNPAUSE = operation.Operation(
    'unpause', (states.PAUSED,), states.UNPAUSING, _unpause)
