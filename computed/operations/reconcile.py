"""Decide what is right of a held instance: its guest, or its record.

An instance is held if the database went back in time and its record lacks
what this host has written; see :mod:`computed.claims.settled`.
"""

import typing

from oslo_log import log as logging

from computed import exception
from computed import states
from computed.claims import kinds
from computed.claims import remembered
from computed.logs import named
from computed.objects import instance as instance_obj
from computed.operations import operation
from computed.operations import volumes

LOG = logging.getLogger(__name__)


def reconcile(manager: operation.Manager, context: operation.Context,
              uuid: str, keep_guest: bool) -> None:
    """Do what an operator has decided about a held instance.

    :param keep_guest: True: its record becomes what the guest is now; a
        record that is lost is made again. False: the record counts, and the
        next pass acts on it; if it is lost, the guest belongs to no instance
        any more and is left alone
    :raises computed.exception.InstanceNotRegressed: it is not held
    :raises computed.exception.InstanceBusy: something else works on it
    :raises computed.exception.GuestNotFound: there is no guest to keep
    :raises computed.exception.DriverError: the guest cannot be looked at
    """
    settled = manager.claims.settled
    with manager.locks.held(uuid, timeout=operation.LOCK_WAIT) as free:
        if not free:
            raise exception.InstanceBusy(instance=uuid, task_state='in use')
        one = settled.get(uuid)
        if one is None or not one.held:
            raise exception.InstanceNotRegressed(instance=uuid)
        if keep_guest:
            _keep_guest(manager, context, uuid, one)
        elif row := _record(context, uuid):
            settled.accept(row, row.origin and row.origin.incarnation)
        else:
            settled.forget(uuid)
    LOG.warning('Instance %(instance)s is not held any more: an operator has '
                'decided for its %(kept)s.',
                {'instance': named.instance(one.name, uuid),
                 'kept': 'guest' if keep_guest else 'record'})


def _keep_guest(manager: operation.Manager, context: operation.Context,
                uuid: str, one: remembered.Remembered) -> None:
    values = of_guest(manager, uuid, one)
    given = manager.calls.list_volumes(uuid)
    if _record(context, uuid) is None:
        _make_record(manager, context, uuid, one, values)
    try:
        claim = manager.claims.claim_all(
            context, 'reconcile', [kinds.Wanted(kinds.INSTANCE, uuid, {})],
            reconciling=True)
    except exception.ClaimLost as lost:
        row = instance_obj.Instance.get_by_uuid(
            context, uuid, use_slave=False)
        if row.task_state or row.claim_id:
            raise exception.InstanceBusy(
                instance=row.name,
                task_state=row.task_state or 'claimed') from None
        raise lost
    with manager.claims.held(context, claim):
        volumes.record_given(manager, claim, given)
        if claim.instance.launched_at is None and (
                values['power_state'] in states.ON):
            # Without the time of a start its usage is never reported.
            values['launched_at'] = states.NOW
        manager.claims.settle(context, claim, fault=None, task_state=None,
                              **values)


def _record(context: operation.Context, uuid: str) -> typing.Any:
    """Return the row of an instance, deleted or not; None if it is lost."""
    try:
        return instance_obj.Instance.get_by_uuid(
            context, uuid, use_slave=False)
    except exception.InstanceNotFound:
        return None


def _make_record(manager: operation.Manager, context: operation.Context,
                 uuid: str, one: remembered.Remembered,
                 values: dict[str, typing.Any]) -> None:
    """Make the row of an instance again that the database has lost.

    :param values: the columns that describe its guest
    :raises computed.exception.OrderUnknown: its user's order is lost, too
    """
    if values.get('deleted'):
        # It was deleted, and its record is gone: they agree.
        raise exception.InstanceNotFound(instance=one.name)
    if one.order is None:
        raise exception.OrderUnknown(instance=one.name, uuid=uuid)
    instance_obj.Instance(
        context, uuid=uuid, name=one.name, host=manager.host,
        vm_state=values['vm_state'], power_state=values['power_state'],
        exit_code=values['exit_code'], **one.order).create()


def of_guest(manager: operation.Manager, uuid: str,
             one: remembered.Remembered) -> dict[str, typing.Any]:
    """Return the columns that describe the guest as it is now.

    :raises: as :func:`reconcile`
    """
    try:
        info = manager.calls.get_instance(uuid)
    except exception.GuestNotFound:
        if one.vm_state != states.DELETED:
            raise
        # The guest that was deleted stays deleted.
        return {'vm_state': states.DELETED, 'power_state': states.NOSTATE,
                'deleted': True, 'deleted_at': states.NOW,
                'terminated_at': states.NOW, 'cleaned': True}
    if info.power_state == states.NOSTATE:
        raise exception.DriverError(
            reason=info.reason or f'guest {uuid} has no state')
    vm_state = states.STOPPED
    if info.power_state in states.ON:
        vm_state = (states.PAUSED if info.power_state == states.POWER_PAUSED
                    else states.ACTIVE)
    return {'vm_state': vm_state, 'power_state': info.power_state,
            'exit_code': info.exit_code, 'deleted_at': None}
