"""Finish what an earlier run of this service left unfinished."""

import contextlib
import dataclasses
import functools
import typing
from collections import abc

from oslo_log import log as logging

from computed import exception
from computed import states
from computed.claims import claims
from computed.claims import recovery
from computed.objects import instance as instance_obj
from computed.operations import build
from computed.operations import operation
from computed.operations import power
from computed.operations import soft_delete
from computed.operations import volumes
from computed.virt import driver as virt_driver

LOG = logging.getLogger(__name__)

# How often a guest whose build was interrupted is looked at before it counts
# as unbuilt, and the seconds between two looks.
LOOKS, PAUSE = 5, 1.0
# The states of instances whose guests are there and do not run.
ENDED = (states.STOPPED, states.SOFT_DELETED)
BUILT: operation.Values = {
    'vm_state': states.ACTIVE, 'launched_at': states.NOW}


def _has_ended(row: typing.Any) -> bool:
    """Return whether the record of an instance says that no guest runs."""
    return row.vm_state in ENDED or (
        row.vm_state == states.ERROR and row.launched_at is None)


def _ending_interrupted(manager: operation.Manager,
                        claim: operation.Claim) -> operation.Values:
    """Take over the guest if it runs; else remove what there is of it.

    Nobody else would: an instance in the state ``error`` is left alone. One
    that has this state already was told to end, because it took too long.
    """
    if claim.instance.vm_state != states.ERROR:
        built = taken_over(manager, claim)
        if built is not None:
            return built
    manager.driver.destroy(claim)
    raise exception.DriverError(
        reason='the service stopped while it was being built')


def taken_over(manager: operation.Manager,
               claim: operation.Claim) -> operation.Values | None:
    """Return what to write if a guest runs whose build nobody has recorded.

    :returns: None: it does not run
    """
    return {**BUILT, **operation.observed(manager, claim.uuid)} if _runs(
        manager, claim.uuid) else None


def _runs(manager: operation.Manager, uuid: str) -> bool:
    """Return whether a guest runs; False if the driver cannot tell for long.

    What is left of a build may be torn, so that it can never be looked at. But
    a driver may also fail once, and the guest runs.
    """
    for _ in range(LOOKS):
        try:
            return manager.driver.get_instance(uuid).power_state in states.ON
        except exception.GuestNotFound:
            return False
        except exception.DriverError as error:
            LOG.warning('Instance %(instance)s cannot be looked at: '
                        '%(error)s',
                        {'instance': manager.claims.settled.label(uuid),
                         'error': operation.error_text(error)})
        manager.stopping.wait(PAUSE)
    return False


def _reboot_interrupted(manager: operation.Manager,
                        claim: operation.Claim) -> operation.Values:
    # Do not reboot it again: a guest that already runs may do work.
    manager.driver.power_on(claim)
    return {'vm_state': states.ACTIVE,
            **operation.observed(manager, claim.uuid)}


# By the task_state that was left. A repeated operation does no harm.
UNFINISHED = {
    states.SPAWNING: operation.Operation(
        'build', (), states.SPAWNING, _ending_interrupted,
        failed=operation.is_error),
    states.REBOOTING: operation.Operation(
        'reboot', (), states.REBOOTING, _reboot_interrupted),
    states.REBOOTING_HARD: operation.Operation(
        'reboot --hard', (), states.REBOOTING_HARD, _reboot_interrupted),
    **{op.task_state: op for op in (power.START, power.STOP, power.PAUSE,
                                    power.UNPAUSE, build.DELETE,
                                    soft_delete.SOFT_DELETE,
                                    soft_delete.RESTORE,
                                    volumes.ATTACH, volumes.DETACH)},
}
# By the task_state, too: which power states of the guest show that it is
# done, and what is written then. If the claim were only released, the next
# pass would stop a guest whose user has started it.
SHOWN: dict[str, tuple[abc.Container[int], operation.Values]] = {
    states.SPAWNING: (states.ON, BUILT),
    states.POWERING_ON: (states.ON, {
        'vm_state': states.ACTIVE, 'launched_at': states.NOW}),
    states.POWERING_OFF: (states.OFF, {'vm_state': states.STOPPED}),
    states.REBOOTING_HARD: ((states.RUNNING,), {'vm_state': states.ACTIVE}),
    states.PAUSING: ((states.POWER_PAUSED,), {'vm_state': states.PAUSED}),
    states.UNPAUSING: ((states.RUNNING,), {'vm_state': states.ACTIVE}),
    states.SOFT_DELETING: (states.OFF, {
        'vm_state': states.SOFT_DELETED, 'deleted_at': states.NOW}),
    states.RESTORING: (states.ON, {
        'vm_state': states.ACTIVE, 'launched_at': states.NOW,
        'deleted_at': None}),
}


def recover(manager: operation.Manager, context: operation.Context,
            instances: abc.Collection[typing.Any],
            progress: abc.Callable[[], None]) -> None:
    """Finish what was begun on these instances.

    The caller may call it again after any error. It must do so after an
    error of the replay: what has ended must not be begun again. An instance
    whose guest was not started because the host was down becomes ``error``;
    its user decides.

    :param instances: the InstanceList of this host, just read from the
        primary
    :param progress: called before each step that may take long
    """
    # Only with what an earlier run has noted.
    manager.claims.settled.review_all(instances, float('-inf'))
    told = recovery.replay(manager.claims, context)
    recovery.release_guests(manager.claims, context)
    for instance in recovery.left_behind(manager.claims, instances):
        if instance.claim_id in told:
            continue    # it was read before
        progress()
        try:
            _end_claim(manager, context, instance)
        except exception.ClaimLost:
            continue    # the replay has settled it
    release_former(manager, context, instances)
    _hold_unknown(manager, [row for row in instances if not row.claim_id])
    for instance in instances:
        if instance.vm_state == states.BUILDING:
            _end_build(manager, context, instance)


def _hold_unknown(manager: operation.Manager,
                  instances: abc.Iterable[typing.Any]) -> None:
    """Hold what runs here although its record says that it does not.

    Only what this service remembers nothing of, because its state path is
    lost. The database may have gone back in time, too, and nobody knows it.

    :param instances: those of this host that no claim holds
    """
    settled = manager.claims.settled
    suspects = [row for row in instances if _has_ended(row) and
                settled.get(row.uuid) is None]
    if not suspects:
        return
    try:
        guests = _guests(manager)
    except exception.DriverNotReady as error:
        LOG.warning('Whether ended instances run here is not known: %s',
                    error)
        return
    for row in suspects:
        guest = guests.get(row.uuid)
        if guest is not None and guest.power_state in states.ON:
            settled.hold_unknown(row)


def release_former(manager: operation.Manager, context: operation.Context,
                   instances: abc.Iterable[typing.Any]) -> None:
    """Release the claims that former services of this host have left.

    If the driver cannot list the guests now, the claims are left, and
    ``manager.former_left`` says so.

    :param instances: those of this host, just read from the primary
    """
    try:
        released = recovery.release_former(
            manager.claims, context, instances,
            functools.partial(_guests, manager), _done)
    except exception.DriverNotReady as error:
        if not manager.former_left:
            LOG.warning('The claims of a former service of this host are '
                        'left until the guests can be listed: %s', error)
        manager.former_left = True
    else:
        manager.former_left = False
        _hold_unknown(manager, released)


def release_left(manager: operation.Manager, context: operation.Context,
                 rows: abc.Iterable[typing.Any],
                 guests: abc.Mapping[str, virt_driver.InstanceInfo]) -> None:
    """Release what :func:`release_former` had to leave, if that is possible.

    It had to leave a guest that the driver did not list then, and may list
    now.

    :param rows: those of this host, which may be old
    :param guests: those that the driver lists, by uuid
    """
    if not (manager.former_left or any(
            row.claim_owner and
            not recovery.is_ours(manager.claims, row.claim_owner) and
            row.uuid in guests and _is_known(manager, guests[row.uuid])
            for row in rows)):
        return
    try:
        release_former(
            manager, context, instance_obj.InstanceList.get_whole_by_host(
                context, manager.host, use_slave=False))
    except (exception.NotJournaled, *claims.NOT_NOW) as error:
        LOG.info('The claims of a former service of this host are left to '
                 'the next pass: %s', error)


def _guests(manager: operation.Manager
            ) -> dict[str, virt_driver.InstanceInfo]:
    """Return the guests here that belong to this host, by uuid.

    :raises computed.exception.DriverNotReady: not all are known
    """
    found = manager.calls.list_instances()
    if not found.complete:
        raise exception.DriverNotReady(reason='its list is incomplete')
    return {guest.uuid: guest for guest in found.instances.values()
            if _is_known(manager, guest)}


def _is_known(manager: operation.Manager,
              guest: virt_driver.InstanceInfo) -> bool:
    """Return whether a guest belongs to this host and can be looked at."""
    return (guest.owner == manager.claims.owner and
            guest.power_state != states.NOSTATE)


def _done(instance: typing.Any,
          guest: virt_driver.InstanceInfo) -> operation.Values | None:
    """Return what to write if a guest shows that what was begun is done.

    Nothing is finished: a backup that was restored may have the claim. The
    next pass records the power state.
    """
    power_states, values = SHOWN.get(instance.task_state, ((), {}))
    if (instance.vm_state, instance.task_state) == (
            states.ERROR, states.SPAWNING):
        return None     # it was told to end
    return ({**values, 'task_state': None, 'fault': None}
            if guest.power_state in power_states else None)


def _end_claim(manager: operation.Manager, context: operation.Context,
               instance: typing.Any) -> None:
    """Finish what a claim was for if this service knows it, or release it.

    :raises computed.exception.ClaimLost: this service does not hold it
    """
    if recovery.is_journaled(manager.claims, instance):
        _finish_in_time(manager, context, recovery.adopt(
            manager.claims, context, instance, 'recover'))
        return
    LOG.warning('Instance %s has a claim that this service does not know '
                'of; releasing it.', instance.label)
    recovery.let_go(manager.claims, context, instance)


def _finish_in_time(manager: operation.Manager, context: operation.Context,
                    claim: operation.Claim) -> None:
    """Finish what a claim was for, and settle it.

    If the driver hangs, the start goes on without it. The instance stays
    claimed until the call returns.
    """
    def job(driver_done: abc.Callable[[], None]) -> None:
        with manager.claims.held(context, claim):
            values = {row.uuid: _finished(manager, claim.of(row))
                      for row in claim.rows if row.host == manager.host and
                      row.task_state in UNFINISHED}
            driver_done()
            manager.claims.settle_all(context, claim, values)
    manager.calls.act(f'recovery of {claim.label}', job,
                      manager.conf.virt.shutdown_timeout)


def _finished(manager: operation.Manager,
              claim: operation.Claim) -> operation.Values:
    """Finish what was begun on one instance; return what to settle."""
    unfinished = UNFINISHED[claim.instance.task_state]
    LOG.info('Instance %(instance)s: finishing %(operation)s, interrupted by '
             'the end of the service.',
             {'instance': claim.label, 'operation': unfinished.name})
    return operation.outcome(manager, unfinished, claim)[0]


def _end_build(manager: operation.Manager, context: operation.Context,
               instance: typing.Any) -> None:
    """End the build of an instance that no claim holds."""
    ending = dataclasses.replace(
        UNFINISHED[states.SPAWNING], from_states=(states.BUILDING,))
    try:
        claim = operation.claimed(manager, context, ending, instance.uuid)
    except claims.UNANSWERED:
        raise       # the caller tries again
    except exception.ComputedError as error:
        LOG.info('Instance %(instance)s is left as it is: %(error)s',
                 {'instance': instance.label, 'error': error})
        return
    held = contextlib.ExitStack()
    held.enter_context(manager.claims.held(context, claim))
    operation.carry_out(manager, context, ending, claim, held)
