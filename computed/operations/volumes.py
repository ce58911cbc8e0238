"""Attach a volume to an instance, and detach it.

The attachment is recorded before the guest gets the volume, and until it has
lost it. The claim knows which volume it is about, also after a crash: so the
next run of the service does the same again, which does no harm.
"""

import contextlib
import dataclasses
from collections import abc

from oslo_log import log as logging

from computed import chance
from computed import exception
from computed import states
from computed.objects import volume as volume_obj
from computed.operations import operation
from computed.virt import driver

LOG = logging.getLogger(__name__)

CAPABILITY = 'volumes'
ALLOWED = (states.ACTIVE, states.PAUSED, states.STOPPED)


def attach(manager: operation.Manager, context: operation.Context,
           uuid: str, volume_id: str) -> None:
    """Begin to attach a volume; if it is attached already, do nothing.

    :raises computed.exception.VolumeInUse: another instance has it
    :raises computed.exception.VolumeElsewhere: it is of another host
    :raises computed.exception.NotSupported: the driver cannot do it here
    :raises computed.exception.ComputedError: it cannot be begun
    """
    volume = volume_obj.Volume.get_by_uuid(
        context, volume_id, use_slave=False)
    if volume.host != manager.host:
        raise exception.VolumeElsewhere(
            volume=volume.name, host=volume.host, instance=uuid)
    if volume.instance_uuid not in (None, uuid):
        raise exception.VolumeInUse(
            volume=volume.name, instance=volume.instance_uuid)
    if volume.status == states.ATTACHED:
        return
    if CAPABILITY not in manager.driver.capabilities:
        raise exception.NotSupported(
            driver=type(manager.driver).__name__,
            operation='attach volumes on this host')
    operation.begin(manager, context, _of(ATTACH, volume), uuid)


def detach(manager: operation.Manager, context: operation.Context,
           uuid: str, volume_id: str) -> None:
    """Begin to detach a volume.

    :raises computed.exception.VolumeNotAttached: the instance does not have
        it
    :raises computed.exception.ComputedError: it cannot be begun
    """
    volume = volume_obj.Volume.get_by_uuid(
        context, volume_id, use_slave=False)
    if volume.instance_uuid != uuid:
        raise exception.VolumeNotAttached(volume=volume.name, instance=uuid)
    operation.begin(manager, context, _of(DETACH, volume), uuid)


def _of(kind: operation.Operation,
        volume: volume_obj.Volume) -> operation.Operation:
    """Return an operation that is about one volume."""
    return dataclasses.replace(
        kind, about=volume.uuid,
        reason=f'volume {volume.name} ({volume.uuid})')


def _about(claim: operation.Claim) -> str:
    if claim.about is None:
        raise exception.DriverError(
            reason='it is not known any more which volume it was about')
    return claim.about


def _attach(manager: operation.Manager,
            claim: operation.Claim) -> operation.Values:
    _give(manager, claim, volume_obj.Volume.begin_attachment(
        claim.instance.obj_context.tolerating_lag(False), _about(claim),
        claim.uuid, manager.host, claim.claim_id, chance.uuid()))
    return {}


def _give(manager: operation.Manager, claim: operation.Claim,
          volume: volume_obj.Volume) -> None:
    """Give a guest what is recorded; if that fails, take both back."""
    try:
        manager.driver.attach_volume(claim, driver.Volume(
            volume.uuid, volume.attachment_id, volume.path))
    except BaseException:
        _take_back(manager, claim, volume)
        raise
    _record(manager, claim, volume.uuid, states.ATTACHED)


def _take_back(manager: operation.Manager, claim: operation.Claim,
               volume: volume_obj.Volume) -> None:
    try:
        manager.driver.detach_volume(claim, volume.uuid)
        _record(manager, claim, volume.uuid, None)
    except Exception as error:      # a driver may raise anything
        LOG.warning(
            'Volume %(volume)s may be half attached to instance %(uuid)s. '
            'Detach it: %(error)s', {
                'volume': volume.name, 'uuid': claim.uuid, 'error': error})


def _detach(manager: operation.Manager,
            claim: operation.Claim) -> operation.Values:
    volume_id = _about(claim)
    _record(manager, claim, volume_id, states.DETACHING)
    manager.volume_meter.last_look(claim)
    try:
        _take(manager, claim, volume_id)
    except BaseException:
        _record(manager, claim, volume_id, states.ATTACHED)
        raise
    return {}


def _take(manager: operation.Manager, claim: operation.Claim,
          volume_id: str) -> None:
    # An absent guest has nothing any more.
    with contextlib.suppress(exception.GuestNotFound):
        manager.driver.detach_volume(claim, volume_id)
    _record(manager, claim, volume_id, None)


def _record(manager: operation.Manager, claim: operation.Claim,
            volume_id: str, status: str | None) -> None:
    volume_obj.Volume.set_status(
        claim.instance.obj_context.tolerating_lag(False), volume_id,
        claim.uuid, manager.host, claim.claim_id, status)


def record_given(manager: operation.Manager, claim: operation.Claim,
                 given: abc.Iterable[driver.Volume]) -> None:
    """Record that a guest has these volumes, and no others.

    The database may have gone back in time. A volume that somebody else has
    by now stays theirs, and the log says so.
    """
    context = claim.instance.obj_context.tolerating_lag(False)
    has = {volume.volume_id: volume for volume in given}
    for row in volume_obj.VolumeList.get_by_instance(
            context, claim.uuid, use_slave=False):
        if row.uuid not in has:
            _record(manager, claim, row.uuid, None)
    for volume_id, volume in has.items():
        try:
            volume_obj.Volume.begin_attachment(
                context, volume_id, claim.uuid, manager.host, claim.claim_id,
                volume.attachment_id)
        except (exception.VolumeInUse, exception.VolumeElsewhere,
                exception.VolumeNotFound) as error:
            LOG.warning(
                'The guest of instance %(instance)s has volume %(volume)s, '
                'which cannot be recorded. Stop the instance: %(error)s',
                {'instance': claim.label, 'volume': volume_id,
                 'error': error})
        else:
            _record(manager, claim, volume_id, states.ATTACHED)


ATTACH = operation.Operation(
    'attach-volume', ALLOWED, states.ATTACHING, _attach)
DETACH = operation.Operation(
    'detach-volume', (*ALLOWED, states.ERROR), states.DETACHING, _detach)
