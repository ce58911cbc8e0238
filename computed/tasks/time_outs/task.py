"""_check_instance_build_time and _poll_rebooting_instances.

Both choose instances from a list that may be old (R1). The primary compares
the state and the time since which the instance has it, when it records what
is done. So a build that has just ended, or another reboot, is left alone.

Usually a thread of this service builds or reboots. It cannot be stopped while
the driver works, so it is told to end: the claim goes on until the driver
returns, and the thread cleans up. A guest is never left behind.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping

from computed import context as computed_context
from computed import exception
from computed import periodic
from computed import states
from computed.operations import operation
from computed.operations import recover
from computed.repair import overdue
from computed.repair import policy
from computed.virt import driver

Context = computed_context.RequestContext


def _fail(manager: policy.Manager, claim: operation.Claim
          ) -> operation.Values:
    """End a build that nobody carries out, unless its guest runs.

    A database that went back in time may have lost that it is done.
    """
    built = recover.taken_over(manager, claim)
    if built is not None:
        return built
    manager.driver.destroy(claim)
    return {'power_state': states.NOSTATE, **_failed(
        _error(manager, BUILDS.timeout_option))}


def _failed(reason: exception.TookTooLong) -> operation.Values:
    return {'vm_state': states.ERROR, 'fault': f'build: {reason}'}


def _error(manager: policy.Manager, option: str) -> exception.TookTooLong:
    return exception.TookTooLong(
        seconds=getattr(manager.conf.tasks, option), option=option)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeOuts(overdue.Overdue):
    """End acts of one kind that take too long.

    :ivar verb: what the repair is called
    :ivar at_once: ``at_once(reason)`` returns the columns to write when an
        act is told to end
    """

    timeout_option: str
    fact: tuple[str, str]
    since: str
    verb: str
    at_once: Callable[[exception.TookTooLong], operation.Values]
    name: str
    operations: Mapping[str, operation.Operation]
    mode_option: str | None

    def is_left_out(self, manager: policy.Manager, row: policy.Row) -> bool:
        """Return whether no act of this service is behind a row.

        What nobody carries out any more is repaired, if that is possible.
        """
        return (row.claim_id not in manager.claims.acting if row.claim_id
                else not self.operations)

    def facts(self, manager: policy.Manager,
              row: policy.Row) -> dict[str, object]:
        """Return what the decision rests on."""
        column, value = self.fact
        return {column: value, 'task_state': row.task_state,
                self.since: getattr(row, self.since),
                **overdue.lasts(self.timeout(manager))}

    def judge(self, manager: policy.Manager, row: policy.Row,
              guest: driver.InstanceInfo | None) -> policy.Verdict:
        """Return whether the act on an instance takes too long."""
        return policy.Verdict(
            repair=self.verb if self.is_due(manager, row) else None)

    def interruption(self, manager: policy.Manager,
                     row: policy.Row) -> policy.Interruption:
        """Return how the act is told to end."""
        reason = _error(manager, self.timeout_option)
        return policy.Interruption(
            reason, self.facts(manager, row), self.at_once(reason))


BUILDS = TimeOuts(
    name='_check_instance_build_time',
    mode_option='instance_build_timeout_mode',
    timeout_option='instance_build_timeout',
    fact=('vm_state', states.BUILDING), since='build_started_at',
    verb='fail',
    at_once=_failed,
    # A build that nobody carries out any more.
    operations={'fail': operation.Operation(
        'end build', (), None, _fail)})
REBOOTS = TimeOuts(
    name='_poll_rebooting_instances', mode_option='reboot_timeout_mode',
    timeout_option='reboot_timeout',
    fact=('task_state', states.REBOOTING), since='task_state_since',
    verb='reboot --hard',
    at_once=lambda reason: {'task_state': states.REBOOTING_HARD},
    operations={})


@periodic.periodic_task(spacing='build_time_check_interval',
                        reads={'the instances of its host': 'R1'})
def check_instance_build_time(manager: policy.Manager,
                              context: Context) -> periodic.Report:
    """End the builds of this host that take too long."""
    return BUILDS.run(manager, context)


@periodic.periodic_task(spacing='rebooting_poll_interval',
                        reads={'the instances of its host': 'R1'})
def poll_rebooting_instances(manager: policy.Manager,
                             context: Context) -> periodic.Report:
    """Turn soft reboots of this host that take too long into hard ones."""
    return REBOOTS.run(manager, context)
