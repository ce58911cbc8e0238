"""What differs between the records of instances and their guests. Pure.

The table of states is nova's; see :func:`judge`.
"""

import dataclasses

from computed import states
from computed.virt import driver

ABSENT = driver.InstanceInfo(uuid='', power_state=states.NOSTATE)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is to be done about one instance.

    :ivar record: its recorded power state differs
    :ivar repair: None, ``stop``, ``resume`` or ``adopt``
    :ivar proven: the driver knows how the guest ended; no brake holds, for
        a broken hypervisor does not make up exit codes
    :ivar warning: what an operator should know, or None
    """

    record: bool = False
    repair: str | None = None
    warning: str | None = None
    proven: bool = False

    def __bool__(self):
        return self.record or self.repair is not None


def judge(vm_state, recorded, actual, exit_code=None, unexpected='stop',
          resume=False):
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
    return Verdict(recorded != actual, repair, warning, proven)


def _unexpectedly_on(actual, unexpected):
    if unexpected == 'log':
        return None, 'is stopped but its guest is on'
    if unexpected == 'adopt' and actual != states.POWER_SUSPENDED:
        return 'adopt', None
    return 'stop', None


def compare(instances, snapshot, **options):
    """``[(instance, verdict)]`` of the instances about which anything is to
    be done or said. Pure.

    Instances that somebody works on are left out. Only a complete snapshot
    may be passed: in it, a missing guest is an absent one.
    """
    found = []
    for instance in instances:
        if instance.task_state or instance.claim_id:
            continue
        info = snapshot.instances.get(instance.uuid, ABSENT)
        verdict = judge(instance.vm_state, instance.power_state,
                        info.power_state, info.exit_code, **options)
        if verdict or verdict.warning:
            found.append((instance, verdict))
    return found


def doubtful(found):
    """Those to be repaired on no better word than the hypervisor's."""
    return [instance for instance, verdict in found
            if verdict.repair and not verdict.proven]
