"""What all operations share: claim, act, look, settle."""

import collections.abc
import dataclasses
import functools
import threading

from oslo_log import log as logging

from computed import exception
from computed import states
from computed.claims import recovery
from computed.objects import instance as instance_obj

LOG = logging.getLogger(__name__)

# Seconds that an operation waits for a task that just looks at the instance.
LOCK_WAIT = 5
# Characters of what an error says; MariaDB keeps 65535 bytes.
LONGEST = 4000


@dataclasses.dataclass(frozen=True)
class Operation:
    """One thing a host does to an instance.

    :ivar from_states: the vm_states it is allowed in; empty: any
    :ivar act: ``act(manager, claim, **parameters)`` does it through the
        driver and returns the columns to write; repeating it does no harm
    :ivar failed_state: the vm_state after a failure; None: as before
    """

    name: str
    from_states: tuple[str, ...]
    task_state: str | None
    act: collections.abc.Callable
    failed_state: str | None = None


def endpoint(operation):
    """A manager method that begins ``operation`` on an instance.

    It returns once the instance is claimed, or raises why it cannot be; the
    rest is done by one of the manager's workers.
    """
    def begin(manager, context, uuid, **parameters):
        lock = manager.locks.acquire(uuid, timeout=LOCK_WAIT)
        if lock is None:
            raise exception.InstanceBusy(instance=uuid, task_state='in use')
        try:
            claim = claimed(manager, context, operation, uuid)
            job = Once(functools.partial(
                finish, manager, context, operation, claim, lock, parameters))
            try:
                manager.workers.submit(job)
            except BaseException:
                # No thread to be had, or it is ending.
                if job.take():
                    manager.claims.release(context, claim)
                    raise
        except BaseException:
            lock.release()
            raise
    begin.__name__ = f'{operation.name}_instance'
    begin.__doc__ = f'Begin to {operation.name} an instance.'
    return begin


class Once:
    """A job that is done by whoever takes it first.

    An executor that finds no thread to start says so, and keeps the job: the
    next thread that is free does it all the same.
    """

    def __init__(self, job):
        self._job = job
        self._taken = threading.Lock()

    def take(self):
        """Whether the job is the caller's now."""
        return self._taken.acquire(blocking=False)

    def __call__(self):
        if self.take():
            self._job()


def claimed(manager, context, operation, uuid):
    """A claim for ``operation``, or the reason why there can be none."""
    expected: dict = {'task_state': None}
    if operation.from_states:
        expected['vm_state'] = list(operation.from_states)
    try:
        return manager.claims.claim(context, uuid, operation.name, expected,
                                    task_state=operation.task_state)
    except exception.ClaimLost as lost:
        instance = instance_obj.Instance.get_by_uuid(
            context, uuid, use_slave=False)
        # By a request of ours that had been given up, perhaps; a pass of
        # the task that would find it may be far away, or turned off.
        recovery.release_orphaned(manager.claims, context, [instance])
        raise refusal(instance, operation, manager.host) or lost from None


def refusal(instance, operation, host):
    """Why an instance as it is now cannot be operated on; None if it can."""
    if instance.deleted:
        return exception.InstanceNotFound(instance=instance.uuid)
    if instance.host != host:
        return exception.HostUnavailable(host=instance.host)
    if instance.task_state or instance.claim_id:
        return exception.InstanceBusy(
            instance=instance.name,
            task_state=instance.task_state or 'claimed')
    if operation.from_states and (
            instance.vm_state not in operation.from_states):
        return exception.InstanceInWrongState(
            operation=operation.name, instance=instance.name,
            vm_state=instance.vm_state)
    return None


def finish(manager, context, operation, claim, lock, parameters):
    """Do what was claimed and record what came of it; releases ``lock``."""
    context.update_store()
    try:
        perform(manager, context, operation, claim, **parameters)
    except Exception:
        LOG.exception('Could not %(operation)s instance %(uuid)s.',
                      {'operation': operation.name, 'uuid': claim.uuid})
    finally:
        lock.release()


def perform(manager, context, operation, claim, **parameters):
    """Act under ``claim`` and settle it.

    :returns: the fresh instance, or None if the primary did not answer
    """
    return manager.claims.settle(context, claim, **outcome(
        manager, operation, claim, **parameters))


def outcome(manager, operation, claim, **parameters):
    """Act under ``claim``; returns what to settle it with."""
    name = claim.instance.name
    try:
        values = {'fault': None,
                  **operation.act(manager, claim, **parameters)}
        LOG.info('Instance %(name)s: %(operation)s done.',
                 {'name': name, 'operation': operation.name})
    # Whatever it is, even SystemExit: the instance must not stay claimed.
    except BaseException as error:
        level = (LOG.warning if isinstance(error, exception.ComputedError)
                 else LOG.exception)
        level('Instance %(name)s: %(operation)s failed: %(error)s',
              {'name': name, 'operation': operation.name,
               'error': error_text(error)})
        values = {'fault': f'{operation.name}: {error_text(error)}',
                  **observed(manager, claim.uuid)}
        if operation.failed_state:
            values['vm_state'] = operation.failed_state
    return {'task_state': None, **values}


def observed(manager, uuid):
    """The columns that say what the hypervisor says now; {} if it cannot.
    """
    try:
        info = manager.driver.get_instance(uuid)
        return {'power_state': info.power_state, 'exit_code': info.exit_code}
    except exception.GuestNotFound:
        return {'power_state': states.NOSTATE}
    except BaseException as error:      # whatever a driver raises
        LOG.warning('Instance %(uuid)s cannot be looked at: %(error)s',
                    {'uuid': uuid, 'error': error_text(error)})
        return {}


def error_text(error):
    """What an error says, or what it is, as text that every database keeps.

    One that refused it would refuse the end of the claim with it.
    """
    try:
        text = str(error)
    except Exception:
        text = ''
    text = (text or type(error).__name__)[:LONGEST].replace('\0', '?')
    return text.encode(errors='replace').decode()
