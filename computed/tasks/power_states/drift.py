"""Tell how the record of an instance and its guest differ. Pure.

The table of states is nova's; see :func:`judge`.
"""

from computed import states
from computed.repair import policy


def judge(vm_state: str, recorded: int, actual: int,
          exit_code: int | None = None, unexpected: str = 'stop',
          resume: bool = False) -> policy.Verdict:
    """Compare one instance's records with its guest. No reads, no writes.

    :param recorded: the power state in the database
    :param actual: the power state of the guest
    :param exit_code: of a guest that ended, if the driver knows it
    :param unexpected: what to do with a guest that runs although stopped:
        ``stop``, ``adopt`` or ``log``
    :param resume: start guests that ran before this machine was restarted
    """
    repair = warning = None
    if vm_state == states.ACTIVE:
        if actual in states.OFF:
            repair = 'resume' if resume else 'stop'
        elif actual == states.POWER_SUSPENDED:
            repair = 'stop'
        elif actual == states.POWER_PAUSED:
            warning = 'is paused although active; paused from outside?'
        elif actual == states.NOSTATE:
            warning = 'is active but has no guest; is the hypervisor back?'
    elif vm_state == states.STOPPED and actual in states.ON:
        repair, warning = _unexpectedly_on(actual, unexpected)
    elif vm_state == states.PAUSED and actual in states.OFF:
        repair = 'stop'
    elif vm_state in (states.SOFT_DELETED, states.DELETED):
        if actual not in (states.SHUTDOWN, states.NOSTATE):
            warning = 'is deleted but its guest is still there'
    proven = actual in states.OFF and exit_code is not None
    return policy.Verdict(recorded != actual, repair, warning, proven)


def _unexpectedly_on(actual: int,
                     unexpected: str) -> tuple[str | None, str | None]:
    if unexpected == 'log':
        return None, 'is stopped but its guest is on'
    if unexpected == 'adopt' and actual != states.POWER_SUSPENDED:
        return 'adopt', None
    return 'stop', None
