"""_sync_power_states: bring records and guests together.

What counts as a difference is decided in
:mod:`computed.tasks.power_states.drift`.
"""

import typing

from computed import clock
from computed import context as computed_context
from computed import exception
from computed import metrics
from computed import periodic
from computed import states
from computed.objects import arguments
from computed.objects import instance as instance_obj
from computed.operations import operation
from computed.operations import power
from computed.repair import engine
from computed.repair import policy
from computed.tasks.power_states import drift
from computed.virt import driver

TASK = '_sync_power_states'

Context = computed_context.RequestContext


def _adopt(manager: policy.Manager,
           claim: operation.Claim) -> dict[str, typing.Any]:
    seen = operation.observed(manager, claim.uuid)
    vm_state = (states.PAUSED if seen.get('power_state') ==
                states.POWER_PAUSED else states.ACTIVE)
    return {**seen, 'vm_state': vm_state}


class PowerStates(policy.Policy):
    """Stop, resume or adopt guests; record their power states."""

    name = TASK
    mode_option = 'sync_power_state_mode'
    explained_by_reboot = True
    operations = {
        'stop': power.STOP,
        'resume': power.START,
        'adopt': operation.Operation('adopt', (), None, _adopt),
    }

    def look(self, manager: policy.Manager, context: Context,
             use_slave: bool) -> policy.Look:
        """Read all rows and guests, and count the guests without a row."""
        began = clock.monotonic()
        look = super().look(manager, context, use_slave)
        if not use_slave:
            manager.claims.settled.review_all(look.rows, began)
        if look.snapshot:
            known = {row.uuid for row in look.rows}
            metrics.unknown_guests.set(
                len(look.snapshot.instances.keys() - known))
        return look

    def facts(self, manager: policy.Manager,
              row: policy.Row) -> dict[str, object]:
        """Return what the claim on an instance rests on."""
        return {'vm_state': row.vm_state, 'task_state': None}

    def judge(self, manager: policy.Manager, row: policy.Row,
              guest: driver.InstanceInfo | None) -> policy.Verdict:
        """Compare an instance with its guest, as the options say."""
        guest = guest or policy.ABSENT
        return drift.judge(
            row.vm_state, row.power_state, guest.power_state,
            guest.exit_code,
            unexpected=manager.conf.tasks.stop_unexpectedly_running,
            resume=self.is_explained(manager, row.uuid) and
            manager.conf.virt.resume_guests_state_on_host_boot)

    def pool_size(self, manager: policy.Manager) -> int:
        """Return how many instances are repaired side by side."""
        return manager.conf.tasks.sync_power_state_pool_size

    def correction(self, row: policy.Row,
                   guest: driver.InstanceInfo) -> dict | None:
        """Return the power state to record, and the facts it rests on."""
        if guest.power_state == row.power_state:
            return None
        return {'uuid': row.uuid, 'new': guest.power_state,
                'old': row.power_state, 'vm_state': row.vm_state}

    def record(self, manager: policy.Manager, context: Context,
               corrections: list[dict]) -> int:
        """Write power states; return how many were written.

        It is one call, unless there are more than a call may have.
        """
        return sum(
            instance_obj.InstanceList.record_power_states(
                context, manager.host,
                typing.cast(list[arguments.PowerChange], part),
                manager.claims.claim_owner)
            for part in arguments.divided(
                corrections, arguments.POWER_CHANGES))


POLICY = PowerStates()


@periodic.periodic_task(spacing='sync_power_state_interval',
                        run_immediately=True,
                        reads={'the instances of its host': 'R1'})
def sync_power_states(manager: policy.Manager,
                      context: Context) -> periodic.Report:
    """Bring records and guests of this host together."""
    return engine.run(manager, context, POLICY)


def check_instance(manager: policy.Manager, context: Context,
                   uuid: str) -> None:
    """Check one instance of this host now, after a lifecycle event.

    The event may be late or wrong, so the row is read from the primary, and
    the guest from the driver.
    """
    if POLICY.mode(manager) == policy.OFF or manager.stopping.is_set():
        return
    try:
        instance = instance_obj.Instance.get_by_uuid(
            context, uuid, use_slave=False)
    except exception.InstanceNotFound:
        return
    if not instance.deleted and instance.host == manager.host:
        engine.check(manager, context, POLICY, instance)
