"""Tell of guests and files without an instance of this host, and remove them.

No row can be claimed for them. So a claim rests on the revision of the host,
which counts every change of its instances.
"""

import contextlib
from collections import abc

from oslo_log import log as logging

from computed import exception
from computed import metrics
from computed import periodic
from computed.claims import absence
from computed.claims import claims
from computed.operations import operation
from computed.repair import policy as policy_module

LOG = logging.getLogger(__name__)

# So many are named in a line of the log.
NAMED = 10


def tell(manager: policy_module.Manager, task: str, what: str,
         uuids: abc.Collection[str]) -> None:
    """Warn of what has no instance, if it is not what the last pass had.

    :param what: it is, as the begin of a sentence
    """
    memory = manager.task_memory.of(task)
    found = sorted(uuids)
    if found and found != memory.unknown:
        LOG.warning('%(what)s: %(uuids)s%(more)s.', {
            'what': what, 'uuids': ', '.join(found[:NAMED]),
            'more': f' and {len(found) - NAMED} more'
            if len(found) > NAMED else ''})
    memory.unknown = found


def remove(manager: policy_module.Manager, context: claims.Context,
           policy: policy_module.Policy, how: operation.Operation,
           uuids: abc.Collection[str], report: periodic.Report) -> None:
    """Remove what belongs to no live instance, one after the other.

    :param how: removes it, under a claim on its guest
    :param report: gets the numbers
    """
    mode, memory = policy.mode(manager), manager.task_memory.of(policy.name)
    allowed = max(policy.limit(manager, ()), context.accept_repairs or 0)
    report.candidates += len(uuids)
    if not uuids:
        return
    if mode != policy_module.ENFORCE or len(uuids) > max(
            memory.hourly.room(allowed), context.accept_repairs or 0):
        report.refused += len(uuids)
        report.note = (f'{len(uuids)} without an instance are left, as '
                       f'the mode {mode} and the brake allow')
        return
    try:
        listing = absence.listing(manager.claims, context)
        for uuid in sorted(uuids):
            outcome = _remove(manager, context, policy, how, listing, uuid)
            setattr(report, outcome, getattr(report, outcome) + 1)
    except (exception.Frozen, *claims.NOT_NOW) as error:
        report.note = f'what has no instance is left: {error}'


def _remove(manager: policy_module.Manager, context: claims.Context,
            policy: policy_module.Policy, how: operation.Operation,
            listing: absence.Listing, uuid: str) -> str:
    """Remove one; return the field of the report in which it counts."""
    with contextlib.ExitStack() as held:
        lock = manager.locks.acquire(uuid, timeout=0)
        if lock is None or manager.stopping.is_set():
            if lock is not None:
                lock.release()
            return 'refused'
        held.callback(lock.release)
        try:
            claim = absence.claim(
                manager.claims, context, listing, uuid, policy.name)
        except (exception.ClaimLost, exception.InstanceRegressed) as error:
            LOG.info('%(uuid)s is left alone: %(error)s',
                     {'uuid': uuid, 'error': error})
            return 'lost_races'
        held.enter_context(manager.claims.held(context, claim))
        if not context.accept_repairs and not manager.task_memory.of(
                policy.name).hourly.take(policy.limit(manager, ())):
            return 'refused'
        LOG.info('Guest %(uuid)s has no instance here: %(how)s.',
                 {'uuid': uuid, 'how': how.name})
        done = operation.carry_out(
            manager, context, how, claim, held.pop_all())
    if done is None:
        return 'refused'
    counter = metrics.repairs_failed if done.fault else metrics.repairs
    counter.labels(policy.name, how.name).inc()
    return 'failed' if done.fault else 'acted'
