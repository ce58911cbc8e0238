"""_cleanup_running_deleted_instances: find guests of deleted instances.

A guest can come back after its instance is deleted: the hypervisor starts it
again, or an operator puts an old disk of the host back. Then nobody else looks
at it, because only live instances are compared with their guests.
"""

import dataclasses
import typing

from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed import periodic
from computed import states
from computed.claims import claims
from computed.claims import kinds
from computed.objects import instance as instance_obj
from computed.operations import left
from computed.operations import operation
from computed.operations import power
from computed.repair import engine
from computed.repair import overdue
from computed.repair import policy
from computed.repair import unknown
from computed.virt import driver

LOG = logging.getLogger(__name__)

TASK = '_cleanup_running_deleted_instances'

NOOP, LOG_ONLY, SHUTDOWN, REAP = 'noop', 'log', 'shutdown', 'reap'
STILL_THERE = 'is deleted but its guest is still there'


def is_due(row: typing.Any, now: float, timeout: int) -> bool:
    """Return whether an instance was deleted long enough ago. Pure.

    :param now: the time of the database, in seconds since 1970
    :param timeout: seconds
    """
    return bool(row.deleted and row.deleted_at is not None and
                overdue.age(row.deleted_at, now) >= timeout)


@dataclasses.dataclass(frozen=True)
class Look(policy.Look):
    """The rows of this host and of strange guests, and the guests.

    :ivar elsewhere: the deleted instances of other hosts with a guest here
    :ivar nobody: the uuids of guests without an instance
    """

    elsewhere: tuple[policy.Row, ...] = ()
    nobody: frozenset[str] = frozenset()


class RunningDeleted(policy.Policy):
    """Log, shut down or destroy guests of deleted instances.

    The lists are R1: a replica may answer. A lagging one only makes it late,
    and a claim rests on the delete.
    """

    name = TASK
    mode_option = 'running_deleted_instance_mode'
    # Without a transition: if this service dies, the next pass judges again.
    operations = {
        SHUTDOWN: operation.Operation(
            SHUTDOWN, (), None, power.power_off, takes=power.STOP.takes),
        REAP: operation.Operation(REAP, (), None, left.destroy)}

    def look(self, manager: policy.Manager, context: claims.Context,
             use_slave: bool) -> Look:
        """List the guests, and read the rows of those that are not live."""
        snapshot = manager.calls.list_instances()
        if not snapshot.complete:
            raise exception.DriverNotReady(reason='its list is incomplete')
        if not snapshot.instances:
            return Look((), snapshot)
        rows = instance_obj.InstanceList.get_whole_by_host(
            context, manager.host, use_slave=use_slave)
        strange = snapshot.instances.keys() - {row.uuid for row in rows}
        found = self._of(manager, context, strange, use_slave)
        nobody = strange - {row.uuid for row in found}
        if nobody.difference(manager.task_memory.of(self.name).unknown):
            # A replica may lack new ones.
            nobody -= {row.uuid for row in self._of(
                manager, context, nobody, use_slave=False)}
        deleted = [row for row in found if row.deleted]
        rows.objects.extend(
            row for row in deleted if row.host == manager.host)
        return Look(rows, snapshot, tuple(
            row for row in deleted if row.host != manager.host),
            frozenset(nobody))

    @staticmethod
    def _of(manager: policy.Manager, context: claims.Context,
            uuids: typing.Collection[str], use_slave: bool
            ) -> list[policy.Row]:
        return list(instance_obj.InstanceList.get_whole_by_uuids(
            context, manager.host, uuids, use_slave=use_slave)
            ) if uuids else []

    def facts(self, manager: policy.Manager,
              row: policy.Row) -> dict[str, object]:
        """Return what the claim on an instance rests on."""
        return {'deleted': True, 'task_state': None,
                'deleted_at': row.deleted_at,
                **overdue.lasts(
                    manager.conf.tasks.running_deleted_instance_timeout)}

    def wanted(self, manager: policy.Manager,
               row: policy.Row) -> list[kinds.Wanted]:
        """Return the row to claim.

        While a guest is destroyed it is not cleaned. If this service dies
        then, the guest may be gone, and the task that removes files ends the
        claim and does the rest.
        """
        reaps = manager.conf.tasks.running_deleted_instance_action == REAP
        return [kinds.Wanted(
            kinds.INSTANCE, row.uuid, self.facts(manager, row),
            {'cleaned': False, 'clean_failed': False} if reaps else {})]

    def judge(self, manager: policy.Manager, row: policy.Row,
              guest: driver.InstanceInfo | None) -> policy.Verdict:
        """Return what the action says of a guest of this host."""
        conf = manager.conf.tasks
        if guest is None or guest.owner != manager.claims.owner or not (
                is_due(row, manager.database_time.now(),
                       conf.running_deleted_instance_timeout)):
            return policy.Verdict()
        action = conf.running_deleted_instance_action
        if action == LOG_ONLY:
            return policy.Verdict(warning=STILL_THERE)
        # Perhaps an earlier run has shut it down, and could not record it.
        if action == REAP or action == SHUTDOWN and (
                guest.power_state in states.ON or
                guest.power_state != row.power_state):
            return policy.Verdict(repair=action)
        return policy.Verdict()

    def after_pass(self, manager: policy.Manager, context: claims.Context,
                   look: policy.Look, report: periodic.Report) -> None:
        """See to guests whose instances are not of this host."""
        left.release_claims(manager, context, look.rows)
        seen = typing.cast(Look, look)
        unknown.tell(manager, self.name, 'These guests have no instance, and '
                     'are left alone', seen.nobody)
        guests = seen.snapshot.instances if seen.snapshot else {}
        by_kind: dict[str, list[str]] = {}
        for row in seen.elsewhere:
            verdict = self.judge(manager, row, guests.get(row.uuid))
            if verdict.repair:
                by_kind.setdefault(verdict.repair, []).append(row.uuid)
            elif verdict.warning:
                LOG.warning('Instance %(instance)s of host %(host)s '
                            '%(warning)s, on this host.', {
                                'instance': row.label, 'host': row.host,
                                'warning': verdict.warning})
        for kind, uuids in by_kind.items():
            unknown.remove(manager, context, self, self.operations[kind],
                           uuids, report)


POLICY = RunningDeleted()


@periodic.periodic_task(
    spacing='running_deleted_instance_poll_interval', run_immediately=True,
    reads={'the live instances of its host': 'R1',
           'the instances of all other guests': 'R1'})
def cleanup_running_deleted_instances(
        manager: policy.Manager,
        context: computed_context.RequestContext) -> periodic.Report:
    """See to the guests of this host whose instances are deleted."""
    if manager.conf.tasks.running_deleted_instance_action == NOOP:
        return periodic.Report(
            note='[tasks] running_deleted_instance_action is noop')
    return engine.run(manager, context, POLICY)
