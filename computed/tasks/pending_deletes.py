"""_run_pending_deletes: remove the files that deleted instances have left.

The first attempt is the delete itself. If it could not remove everything, the
row of the instance is not ``cleaned``, and this task tries it again.
"""

import dataclasses
import typing

from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed import periodic
from computed.claims import claims
from computed.objects import instance as instance_obj
from computed.operations import left
from computed.operations import operation
from computed.repair import engine
from computed.repair import overdue
from computed.repair import policy
from computed.repair import unknown
from computed.virt import driver

LOG = logging.getLogger(__name__)

TASK = '_run_pending_deletes'
# Seconds after which nobody waits for anything.
NEVER = 2 ** 31


def wait(attempts: int, interval: int) -> int:
    """Return how long after the delete the next attempt comes. Pure.

    Between two attempts there is each time twice as long.

    :param attempts: how many were made
    :param interval: seconds from the first attempt to the second
    :returns: seconds
    """
    return min(interval * (2 ** attempts - 1), NEVER)


def is_due(row: typing.Any, now: float, interval: int) -> bool:
    """Return whether it is time for the next attempt. Pure.

    :param now: the time of the database, in seconds since 1970
    :param interval: as for :func:`wait`
    """
    since = row.terminated_at or row.deleted_at
    return since is not None and overdue.age(since, now) >= wait(
        row.clean_attempts, interval)


def _most(manager: operation.Manager) -> int:
    return manager.conf.tasks.maximum_instance_delete_attempts


def _clean(manager: operation.Manager,
           claim: operation.Claim) -> operation.Values:
    if claim.instance and claim.instance.clean_attempts >= _most(manager):
        raise exception.FilesLeft(
            uuid=claim.uuid, reason='it was tried often enough')
    manager.driver.delete_instance_files(claim)
    return {'cleaned': True}


def _failed(manager: operation.Manager,
            claim: operation.Claim) -> operation.Values:
    if claim.instance is None:
        return {}
    attempts = claim.instance.clean_attempts + 1
    if attempts >= _most(manager):
        LOG.error('The files of deleted instance %(instance)s are left to the '
                  'operator after %(count)d attempts; remove them by hand.',
                  {'instance': claim.label, 'count': attempts})
    return {'cleaned': False, 'clean_attempts': attempts,
            'clean_failed': attempts >= _most(manager)}


# If this service dies, the next pass judges again: without a transition.
CLEAN = operation.Operation('clean', (), None, _clean, failed=_failed)


@dataclasses.dataclass(frozen=True)
class Look(policy.Look):
    """The rows whose files may be left, and the guests.

    :ivar nobody: the uuids of files that belong to no instance of this host
    """

    nobody: frozenset[str] = frozenset()


class PendingDeletes(policy.Policy):
    """Remove files; the list is R1, and the claim rests on what it says.

    The list may lag: what a finished row still asks for is refused, and the
    rows behind it come all the same.
    """

    name = TASK
    mode_option = 'instance_delete_mode'
    operations = {'clean': CLEAN}

    def look(self, manager: policy.Manager, context: claims.Context,
             use_slave: bool) -> Look:
        """Read the rows, and look at the files if there are any."""
        rows = instance_obj.InstanceList.get_whole_uncleaned(
            context, manager.host, use_slave=use_slave)
        grace = manager.conf.tasks.instance_delete_interval
        strange = {uuid for uuid, age
                   in manager.calls.list_instance_files().items()
                   if age >= grace}.difference(row.uuid for row in rows)
        if strange:
            found = instance_obj.InstanceList.get_whole_by_uuids(
                context, manager.host, strange, use_slave=use_slave)
            ours = [row for row in found if row.host == manager.host]
            strange.difference_update(row.uuid for row in ours)
            # Some were removed, and are there again with an old disk.
            rows.objects.extend(row for row in ours if row.deleted and
                                not row.clean_failed)
        snapshot = None
        if len(rows):
            snapshot = manager.calls.list_instances()
            if not snapshot.complete:
                raise exception.DriverNotReady(
                    reason='its list is incomplete')
        return Look(rows, snapshot, frozenset(strange))

    def facts(self, manager: policy.Manager,
              row: policy.Row) -> dict[str, object]:
        """Return what the claim on an instance rests on."""
        return {'deleted': True, 'guest_left': False, 'task_state': None,
                'cleaned': row.cleaned, 'clean_failed': False,
                'clean_attempts': row.clean_attempts,
                **overdue.lasts(wait(
                    row.clean_attempts,
                    manager.conf.tasks.instance_delete_interval))}

    def judge(self, manager: policy.Manager, row: policy.Row,
              guest: driver.InstanceInfo | None) -> policy.Verdict:
        """Return whether the files of an instance are to be removed now.

        A guest that is there is not of this task. The brake does not hold
        what this host has recorded itself with the delete.
        """
        due = guest is policy.ABSENT and is_due(
            row, manager.database_time.now(),
            manager.conf.tasks.instance_delete_interval)
        return policy.Verdict(
            repair='clean' if due else None,
            proven=row.clean_attempts > 0 and not row.cleaned)

    def after_pass(self, manager: policy.Manager, context: claims.Context,
                   look: policy.Look, report: periodic.Report) -> None:
        """Release what was left, and tell of files of no instance."""
        left.release_claims(manager, context, look.rows)
        nobody = typing.cast(Look, look).nobody
        unknown.tell(manager, self.name, 'These guests have left files, and '
                     'there are no instances of this host for them', nobody)
        if manager.conf.tasks.remove_unknown_files:
            unknown.remove(manager, context, self, CLEAN, nobody, report)


POLICY = PendingDeletes()


@periodic.periodic_task(spacing='instance_delete_interval', reads={
    'the deleted instances of its host whose files are not removed': 'R1'})
def run_pending_deletes(manager: policy.Manager,
                        context: computed_context.RequestContext
                        ) -> periodic.Report:
    """Remove the files that deleted instances of this host have left."""
    return engine.run(manager, context, POLICY)
