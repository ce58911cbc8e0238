"""What all operations share: claim, act, look, settle."""

import contextlib
import dataclasses
import functools
import threading
import typing
from collections import abc

from oslo_log import log as logging

from computed import clock
from computed import context as computed_context
from computed import exception
from computed import states
from computed.claims import kinds
from computed.claims import recovery
from computed.objects import instance as instance_obj

if typing.TYPE_CHECKING:
    from computed import manager as manager_module
    from computed.virt import claim as virt_claim

LOG = logging.getLogger(__name__)

# Seconds that an operation waits for a task that just looks at the instance.
LOCK_WAIT = 5
# Characters of the text of an error; MariaDB keeps 65535 bytes.
LONGEST = 4000

Context = computed_context.RequestContext
Manager: typing.TypeAlias = 'manager_module.ComputeManager'
Claim: typing.TypeAlias = 'virt_claim.Claim'
Values: typing.TypeAlias = dict[str, typing.Any]


Act: typing.TypeAlias = abc.Callable[[Manager, Claim], Values]


def _nothing(manager: Manager) -> float:
    return 0


def _no_values(manager: Manager, claim: Claim) -> Values:
    return {}


def is_error(manager: Manager, claim: Claim) -> Values:
    """Return what to write if an instance is an error after a failure."""
    return {'vm_state': states.ERROR}


@dataclasses.dataclass(frozen=True)
class Operation:
    """One kind of work that a host does on an instance.

    :ivar from_states: the vm_states it is allowed in; empty: any
    :ivar act: ``act(manager, claim)`` does it through the driver and returns
        the columns to write; a repetition does no harm
    :ivar failed: ``failed(manager, claim)`` returns what to write after a
        failure, besides the fault and what is observed
    :ivar facts: further facts that must hold; by default the instance must
        not be deleted
    :ivar granted: columns to write with the claim, besides the task_state
    :ivar undo: ``undo(manager, claim)`` is called if it was interrupted and
        the driver has done it all the same; None: then it is done
    :ivar takes: the seconds that it may take beyond the deadline of a call
    :ivar about: what it is about beside the instance, such as the uuid of a
        volume; the claim has it, also after a crash
    :ivar reason: the same for the readers of the action log
    """

    name: str
    from_states: tuple[str, ...]
    task_state: str | None
    act: Act
    failed: Act = _no_values
    facts: abc.Mapping[str, object] = dataclasses.field(default_factory=dict)
    granted: abc.Mapping[str, object] = dataclasses.field(
        default_factory=dict)
    undo: abc.Callable[[Manager, Claim], None] | None = None
    takes: abc.Callable[[Manager], float] = _nothing
    about: str | None = None
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Ended:
    """The result of an operation.

    :ivar instance: the fresh row; None if the primary did not answer
    :ivar fault: why it failed; None if it did not
    """

    instance: typing.Any
    fault: str | None


def endpoint(operation: Operation) -> abc.Callable[..., None]:
    """Return a manager method that begins ``operation``; see :func:`begin`."""
    def begin_it(manager: Manager, context: Context, uuid: str) -> None:
        begin(manager, context, operation, uuid)
    begin_it.__name__ = f'{operation.name}_instance'
    begin_it.__doc__ = f'Begin to {operation.name} an instance.'
    return begin_it


def begin(manager: Manager, context: Context, operation: Operation,
          uuid: str, wait: float = LOCK_WAIT) -> None:
    """Begin ``operation`` on an instance.

    It returns once the instance is claimed; one of the manager's workers does
    the rest.

    :param wait: seconds to wait for a task that just looks at the instance
    :raises computed.exception.ComputedError: it cannot be begun
    """
    with contextlib.ExitStack() as held:
        lock = manager.locks.acquire(uuid, timeout=wait)
        if lock is None:
            raise exception.InstanceBusy(instance=uuid, task_state='in use')
        held.callback(lock.release)
        claim = held.enter_context(manager.claims.held(
            context, claimed(manager, context, operation, uuid)))
        kept = held.pop_all()
    job = Once(functools.partial(
        finish, manager, context, operation, claim, kept))
    try:
        manager.workers.submit(job)
    except BaseException:
        # There is no thread, or the service ends.
        if job.take():
            kept.close()
            raise


class Once:
    """A job that is done by the first thread that takes it.

    An executor that cannot start a thread raises an error but keeps the job:
    the next free thread still does it.
    """

    def __init__(self, job: abc.Callable[[], None]) -> None:
        self._job = job
        self._taken = threading.Lock()

    def take(self) -> bool:
        """Take the job; return False if another thread has it."""
        return self._taken.acquire(blocking=False)

    def __call__(self) -> None:
        if self.take():
            self._job()


def claimed(manager: Manager, context: Context, operation: Operation,
            uuid: str) -> Claim:
    """Return a claim for ``operation``, or raise the error that refuses it.

    The caller holds the lock of the instance, or nobody works on it yet.
    """
    # The task_state is a second line: a row that has one is claimed, too.
    expected: dict[str, object] = {'task_state': None, **operation.facts}
    if operation.from_states:
        expected['vm_state'] = list(operation.from_states)
    values = {'task_state': operation.task_state, **operation.granted}
    try:
        return manager.claims.claim_all(context, operation.name, [
            kinds.Wanted(kinds.INSTANCE, uuid, expected, values,
                         reason=operation.reason)],
            about=operation.about)
    except exception.ClaimLost as lost:
        # Another thread may tell the end of a claim while this one reads.
        began = clock.monotonic()
        instance = instance_obj.Instance.get_by_uuid(
            context, uuid, use_slave=False)
        manager.claims.settled.review([instance], began)
        # Perhaps a request that this service gave up holds the instance. The
        # next pass of the task that finds such claims may be far away.
        recovery.release_orphaned(manager.claims, context, [instance])
        manager.claims.settled.facts(uuid)      # it may be held
        raise refusal(instance, operation, manager.host) or lost from None


def refusal(instance: typing.Any, operation: Operation,
            host: str) -> exception.ComputedError | None:
    """Return why an instance cannot be operated on now; None if it can."""
    if instance.deleted and not operation.facts.get('deleted'):
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


def finish(manager: Manager, context: Context, operation: Operation,
           claim: Claim, held: contextlib.ExitStack) -> None:
    """Do what was claimed and record the result; log an error."""
    context.update_store()
    try:
        carry_out(manager, context, operation, claim, held)
    except exception.ComputedError as error:
        LOG.warning('Could not %(operation)s instance %(instance)s: '
                    '%(error)s', {'operation': operation.name,
                                  'instance': claim.label, 'error': error})
    except Exception:
        LOG.exception('Could not %(operation)s instance %(instance)s.',
                      {'operation': operation.name, 'instance': claim.label})


def carry_out(manager: Manager, context: Context, operation: Operation,
              claim: Claim, held: contextlib.ExitStack,
              count: abc.Callable[['Ended'], None] = lambda ended: None,
              ) -> Ended | None:
    """Perform ``operation`` in a thread of its own, with a deadline.

    If the driver hangs, the instance stays claimed and locked, because the
    call may still have its effect. If it returns later, the thread ends both.

    :param held: ends the claim and the lock
    :param count: called with the result, however late it comes
    :returns: the result; None: the driver hangs
    """
    def job(driver_done: abc.Callable[[], None]) -> Ended:
        context.update_store()      # its request id, in the log
        with held:
            ended = perform(manager, context, operation, claim, driver_done)
        count(ended)
        return ended
    with contextlib.ExitStack() as unless_started:
        unless_started.push(held)
        seconds = operation.takes(manager)
        unless_started.pop_all()
    return manager.calls.act(f'{operation.name} of {claim.label}', job,
                             seconds)


def perform(manager: Manager, context: Context, operation: Operation,
            claim: Claim,
            driver_done: abc.Callable[[], None] = lambda: None) -> Ended:
    """Act under ``claim`` and settle it.

    :param driver_done: called between the two
    """
    values, fault = outcome(manager, operation, claim)
    driver_done()
    return Ended(manager.claims.settle(context, claim, **values), fault)


def outcome(manager: Manager, operation: Operation,
            claim: Claim) -> tuple[Values, str | None]:
    """Act under ``claim``.

    :returns: what to settle it with, and why it failed or None
    """
    fault = None
    try:
        values = {'fault': None, **operation.act(manager, claim)}
        reason = claim.interruption.close()
        if reason and operation.undo:
            operation.undo(manager, claim)
            raise reason
        LOG.info('Instance %(instance)s: %(operation)s done.',
                 {'instance': claim.label, 'operation': operation.name})
    # Every error, even SystemExit: the instance must not stay claimed.
    except BaseException as error:
        level = (LOG.warning if isinstance(error, exception.ComputedError)
                 else LOG.exception)
        level('Instance %(instance)s: %(operation)s failed: %(error)s',
              {'instance': claim.label, 'operation': operation.name,
               'error': error_text(error)})
        fault = f'{operation.name}: {error_text(error)}'
        values = {'fault': fault, **observed(manager, claim.uuid),
                  **operation.failed(manager, claim)}
        if claim.interruption.close():
            values.setdefault('vm_state', states.ERROR)
    return {'task_state': None, **values}, fault


def observed(manager: Manager, uuid: str) -> Values:
    """Return the columns that the hypervisor reports; {} after an error."""
    try:
        info = manager.calls.get_instance(uuid)
        return {'power_state': info.power_state, 'exit_code': info.exit_code}
    except exception.GuestNotFound:
        return {'power_state': states.NOSTATE}
    except BaseException as error:      # a driver may raise anything
        LOG.warning('Instance %(instance)s cannot be looked at: %(error)s',
                    {'instance': manager.claims.settled.label(uuid),
                     'error': error_text(error)})
        return {}


def error_text(error: BaseException) -> str:
    """Return an error's text, or its type, in a form for every database.

    A database that refuses the text would refuse the end of the claim too.
    """
    try:
        text = str(error)
    except Exception:
        text = ''
    text = (text or type(error).__name__)[:LONGEST].replace('\0', '?')
    return text.encode(errors='replace').decode()
