"""Destroy the guests of instances that were deleted without this host.

An operator can delete an instance while its host is silent or deleted; see
:mod:`computed.db.cell.retired`. A host that comes back finds ``guest_left`` in
the row, and its claim rests on it. The end of the claim ends it. So if the
host ends before that, the next pass begins again.

Users' operations have the same workers. So a pass begins only a few, and the
next one goes on behind them: guests that cannot be destroyed hide no others.
"""

import itertools
import typing
from collections import abc

from oslo_log import log as logging

from computed import exception
from computed.claims import claims
from computed.claims import recovery
from computed.objects import instance as instance_obj
from computed.operations import build
from computed.operations import operation
from computed.operations import recover

LOG = logging.getLogger(__name__)


def destroy(manager: operation.Manager,
            claim: operation.Claim) -> operation.Values:
    """Destroy the guest of a deleted instance; return what to write."""
    return {'guest_left': False, **build.destroy(manager, claim)}


# After a failure guest_left stays, so it is tried again.
DESTROY = operation.Operation(
    'delete', (), None, destroy,
    facts={'deleted': True, 'guest_left': True})


def _accept(manager: operation.Manager, row: typing.Any) -> None:
    """End the hold of an instance that an operator has deleted meanwhile.

    The operator has ended its claim. If this host then tells the end of that
    claim, the primary knows nothing of it, as after a restore. But a later
    row in the same history shows that nothing was lost.
    """
    settled = manager.claims.settled
    with manager.locks.held(row.uuid, timeout=0) as free:
        one = settled.get(row.uuid) if free else None
        if one is not None and one.held and one.precedes(row):
            settled.accept(row, row.origin and row.origin.incarnation)
            LOG.warning('Instance %s is not held any more: it was deleted '
                        'while this host was away.', row.label)


def release_claims(manager: operation.Manager, context: operation.Context,
                   found: abc.Iterable[typing.Any]) -> None:
    """Release the claims on deleted instances that nobody holds any more.

    An earlier run of this service, or a former service, may have ended in
    between.

    :param found: the rows of such instances
    """
    recovery.release_orphaned(manager.claims, context, found)
    if any(row.claim_owner and not recovery.is_ours(
            manager.claims, row.claim_owner) for row in found):
        live = instance_obj.InstanceList.get_whole_by_host(
            context, manager.host, use_slave=False)
        recover.release_former(
            manager, context, itertools.chain(found, live))


def begin(manager: operation.Manager, context: operation.Context) -> int:
    """Begin to destroy the guests that are left; return how many.

    :raises computed.exception.ComputedError: the primary does not answer, or
        the host is frozen
    """
    found = instance_obj.InstanceList.get_left(
        context, manager.host, manager.conf.operation_workers,
        manager.left_marker, use_slave=False)
    # Whatever happens to these, the others come next.
    manager.left_marker = found.next_marker
    release_claims(manager, context, found)
    begun = 0
    for row in found:
        try:
            _accept(manager, row)
            operation.begin(manager, context, DESTROY, row.uuid, wait=0)
        except (exception.Frozen, *claims.UNANSWERED):
            raise
        except exception.ComputedError as error:
            LOG.info('The guest of deleted instance %(instance)s is left to '
                     'the next pass: %(error)s',
                     {'instance': row.label, 'error': error})
        else:
            LOG.warning('Instance %s was deleted while this host was away; '
                        'destroying its guest.', row.label)
            begun += 1
    return begun
