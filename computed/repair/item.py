"""Repair one row: claim it, look again, judge again, act, settle."""

import contextlib
import dataclasses

from oslo_log import log as logging

from computed import exception
from computed import metrics
from computed import states
from computed.claims import claims
from computed.claims import interrupting
from computed.claims import kinds
from computed.operations import operation
from computed.repair import policy as policy_module
from computed.virt import driver

LOG = logging.getLogger(__name__)

# The result of one row: the field of the report in which it counts.
ACTED, FAILED, LOST, REFUSED = 'acted', 'failed', 'lost_races', 'refused'


# A database may refuse one row for ever, and the rows behind it must be
# repaired all the same. After so many refusals in a pass it takes no row.
REFUSALS = 3


@dataclasses.dataclass
class Stopped:
    """Tells the threads of a pass that no more claims can be granted.

    :ivar reason: the error that refused a claim, or None
    :ivar refusals: how often the database has refused
    """

    reason: exception.ComputedError | None = None
    refusals: int = 0

    def count(self, error: exception.DatabaseFailed) -> None:
        """Count a refusal of the database; stop at the last one."""
        self.refusals += 1
        if self.refusals >= REFUSALS:
            self.reason = self.reason or error


def repair_safely(manager: policy_module.Manager, context: claims.Context,
                  policy: policy_module.Policy, stopped: Stopped,
                  row: policy_module.Row, allowed: int | None) -> str:
    """Repair one row; an error of one row does not end the others.

    :param stopped: gets the reason why no claim can be granted on this host;
        after that no thread requests one
    :returns: see :func:`repair`
    """
    context.update_store()      # its request id, in this thread's log lines
    # An operator may have turned the task off during the pass.
    if stopped.reason or manager.stopping.is_set() or (
            policy.mode(manager) != policy_module.ENFORCE):
        return REFUSED
    act = interrupt if row.claim_id else repair
    try:
        return act(manager, context, policy, row, allowed)
    except (exception.Frozen, *claims.UNANSWERED) as error:
        stopped.reason = stopped.reason or error
    except exception.DatabaseFailed as error:
        stopped.count(error)
        manager.task_memory.of(policy.name).lines.warn(
            'Instance %s could not be repaired: %s', row.label, error)
    except exception.ComputedError as error:
        LOG.warning('Instance %(instance)s could not be repaired: %(error)s',
                    {'instance': row.label, 'error': error})
    except Exception:
        LOG.exception('Instance %s could not be repaired.', row.label)
    return REFUSED


def repair(manager: policy_module.Manager, context: claims.Context,
           policy: policy_module.Policy, row: policy_module.Row,
           allowed: int | None) -> str:
    """Claim a row that looks wrong, look again, and repair it.

    The claim sets no transition: if this service dies now, its next run must
    judge the row again, and not finish an operation that was never decided.

    :param row: as it was when it was chosen, perhaps long ago
    :param allowed: repairs per hour, which limit what is not proven when the
        row is judged again; None: there is no limit
    :returns: ``acted``, ``failed`` (the driver could not), ``lost_races``
        (the row is not wrong any more) or ``refused`` (it is in use, the
        brake holds, or the guest does not answer)
    :raises computed.exception.Frozen: no work may begin on this host
    """
    with contextlib.ExitStack() as held:
        lock = manager.locks.acquire(row.uuid, timeout=0)
        if lock is None:
            return REFUSED
        held.callback(lock.release)
        try:
            wanted = _reasoned(policy.wanted(manager, row), row)
            claim = held.enter_context(manager.claims.claimed(
                context, policy.name, wanted))
        except exception.InstanceRegressed:
            return REFUSED
        except exception.ClaimLost:
            metrics.drift.labels(policy.name, 'false').inc()
            return LOST
        guest = None
        if policy.looks_at_guests:
            guest = look_at(manager, claim.uuid)
            if guest is None:
                return REFUSED
        # For the facts that the claim names, this row is as it was chosen.
        verdict = policy.judge(manager, claim.instance, guest)
        if not verdict.repair:
            metrics.drift.labels(policy.name, 'false').inc()
            manager.claims.release(context, claim, _as_it_is(claim, guest))
            return LOST
        metrics.drift.labels(policy.name, 'confirmed').inc()
        if allowed is not None and not verdict.proven and (
                not manager.task_memory.of(
                    policy.name).hourly.take(allowed)):
            return REFUSED
        _announce(claim, guest, verdict.repair)
        return _act(manager, context, policy, claim, verdict.repair, held)
    raise AssertionError        # nothing in the body is suppressed


def interrupt(manager: policy_module.Manager, context: claims.Context,
              policy: policy_module.Policy, row: policy_module.Row,
              allowed: int | None) -> str:
    """Tell an act of this service to end that takes too long.

    The primary compares the facts when it records that, so the row is not
    read again before.

    :returns: see :func:`repair`
    """
    claim = manager.claims.acting.get(row.claim_id)
    if claim is None:
        return LOST
    if allowed is not None and not manager.task_memory.of(
            policy.name).hourly.take(allowed):
        return REFUSED
    how = policy.interruption(manager, row)
    try:
        interrupting.interrupt(manager.claims, context, claim, how.reason,
                               how.facts, how.values)
    except exception.ClaimLost:
        metrics.drift.labels(policy.name, 'false').inc()
        return LOST
    metrics.drift.labels(policy.name, 'confirmed').inc()
    LOG.warning('Instance %(instance)s: %(operation)s is told to end: '
                '%(reason)s', {'instance': claim.label, 'reason': how.reason,
                               'operation': claim.operation})
    return ACTED


def _reasoned(wanted: list[kinds.Wanted],
              row: policy_module.Row) -> list[kinds.Wanted]:
    """Return the rows to claim, with where it looked wrong as the reason."""
    origin = row.origin
    if origin is None:
        return wanted
    reason = (f'{row.vm_state} and {states.power_name(row.power_state)} on '
              f'{origin.role} {origin.node}, {origin.age:.1f} s old')
    return [dataclasses.replace(one, reason=reason) for one in wanted]


def _as_it_is(claim: operation.Claim,
              guest: driver.InstanceInfo | None) -> str:
    """Return what the primary and the driver say, if nothing is wrong."""
    fresh = claim.instance
    return (f'the primary says {fresh.vm_state} and '
            f'{states.power_name(fresh.power_state)}') + (
        '' if guest is None else
        f', its guest is {states.power_name(guest.power_state)}')


def _announce(claim: operation.Claim, guest: driver.InstanceInfo | None,
              kind: str) -> None:
    fresh = claim.instance
    LOG.info('Instance %(instance)s is %(vm_state)s%(but)s: %(kind)s.',
             {'instance': fresh.label, 'vm_state': fresh.vm_state,
              'kind': kind,
              'but': '' if guest is None else ' but its guest is '
              f'{states.power_name(guest.power_state)}'})


def _act(manager: policy_module.Manager, context: claims.Context,
         policy: policy_module.Policy, claim: operation.Claim, kind: str,
         held: contextlib.ExitStack) -> str:
    """Act under ``claim``, which ``held`` ends, and count the result.

    A result that comes after the deadline counts in the metrics, not in the
    report of this pass.
    """
    def count(ended: operation.Ended) -> None:
        counter = metrics.repairs_failed if ended.fault else metrics.repairs
        counter.labels(policy.name, kind).inc()
    done = operation.carry_out(manager, context, policy.operations[kind],
                               claim, held.pop_all(), count)
    if done is None:
        return REFUSED      # it hangs; its thread settles the claim
    # If it differs again, a restart of the machine is not the reason.
    manager.task_memory.of(policy.name).settle(claim.uuid)
    return FAILED if done.fault else ACTED


def look_at(manager: policy_module.Manager,
            uuid: str) -> driver.InstanceInfo | None:
    """Return the guest as it is now, perhaps ``ABSENT``.

    :returns: None if the driver cannot tell
    """
    try:
        return manager.calls.get_instance(uuid)
    except exception.GuestNotFound:
        return policy_module.ABSENT
    except exception.DriverHangs:
        return None         # the log has it already
    except Exception as error:      # a driver may raise anything
        problem = operation.error_text(error)
    LOG.warning('Instance %(instance)s cannot be looked at: %(problem)s',
                {'instance': manager.claims.settled.label(uuid),
                 'problem': problem})
    return None
