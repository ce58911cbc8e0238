"""Find instances and hosts by name, and wait for operations."""

import argparse
import time
import typing
import uuid
from collections import abc

from computed import clock as system_clock
from computed import context as request_context
from computed import exception
from computed import states
from computed.objects import host as host_obj
from computed.objects import instance as instance_obj

T = typing.TypeVar('T', bound=typing.Any)
# Errors that end by themselves: waiting continues.
TEMPORARY = (exception.PutOff, exception.ConductorUnavailable,
             exception.OutcomeUnknown, exception.PrimaryUnavailable)


def instance(context: request_context.RequestContext, name: str,
             tolerant: bool = False,
             deleted: bool = False) -> instance_obj.Instance:
    """Return the instance that a user names, by its uuid or its name.

    If a replica does not know the instance, the primary is asked too.

    :param tolerant: a replica may answer
    :param deleted: also find a deleted instance, if its uuid is given
    :raises computed.exception.InstanceNotFound: there is no such instance
    :raises computed.exception.InstanceAmbiguous: several have this name
    """
    if tolerant:
        try:
            return _instance(context, name, deleted, use_slave=True)
        except exception.InstanceNotFound:
            pass
    return _instance(context, name, deleted, use_slave=False)


def instance_to_show(
        context: request_context.RequestContext,
        parsed_args: argparse.Namespace) -> instance_obj.Instance:
    """Return the instance that a command shows, even if it was deleted.

    :param parsed_args: with ``instance`` and ``strict``
    :raises computed.exception.ComputedError: see :func:`instance`
    """
    return instance(context, parsed_args.instance,
                    tolerant=not parsed_args.strict, deleted=True)


def _instance(context: request_context.RequestContext, name: str,
              deleted: bool, use_slave: bool) -> instance_obj.Instance:
    if (wanted := as_uuid(name)) is not None:
        try:
            found = instance_obj.Instance.get_by_uuid(
                context, wanted, use_slave=use_slave)
            if deleted or not found.deleted:
                return found
        except exception.InstanceNotFound:
            pass    # but it may be a name that looks like a uuid
    return the_one(name, list(instance_obj.InstanceList.get_by_name(
        context, name, use_slave=use_slave)))


def as_uuid(text: str) -> str | None:
    """Return ``text`` in the usual form of a uuid; None if it is not one."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def the_one(name: str, found: abc.Sequence[T]) -> T:
    """Return the only instance among those found under a name.

    :param found: objects with a ``uuid``
    :raises computed.exception.InstanceNotFound: none was found
    :raises computed.exception.InstanceAmbiguous: several were found
    """
    if not found:
        raise exception.InstanceNotFound(instance=name)
    if len(found) > 1:
        raise exception.InstanceAmbiguous(
            name=name, count=len(found),
            uuids=', '.join(sorted(one.uuid for one in found)))
    return found[0]


def is_up(service: host_obj.Service | None, down_after: float) -> bool:
    """Tell whether the service of a host is up.

    :param service: None if the host never had one
    :param down_after: seconds without a heartbeat after which it is down
    """
    return service is not None and service.silent_for <= down_after


def host_for_new(hosts: abc.Iterable[host_obj.Host], here: str,
                 down_after: float) -> str:
    """Choose the host for a new instance, if the user named none.

    :param hosts: all hosts
    :param here: the name of this host
    :param down_after: seconds without a heartbeat after which a host is down
    :returns: the name of the host
    :raises computed.exception.ComputedError: no host is up
    :raises computed.exception.Frozen: every host that is up is frozen
    """
    up = [host for host in hosts if is_up(host.service, down_after)]
    if not up:
        raise exception.ComputedError(
            'No host is up, so the instance cannot be built. '
            '`computed-manage host list` shows all hosts.')
    found = min(up, key=lambda host: (
        host.freeze is not None, host.name != here, host.instances,
        host.name))
    ensure_not_frozen(found, 'build')
    return found.name


def ensure_not_frozen(host: host_obj.Host, operation: str) -> None:
    """Refuse an operation on a frozen host before anything is recorded.

    :raises computed.exception.Frozen: the host is frozen
    """
    if host.freeze is not None:
        raise exception.Frozen(
            operation=operation, scope=host.freeze.scope,
            since=host.freeze.since, by=host.freeze.by,
            reason=host.freeze.reason)


def wait(read: abc.Callable[[], instance_obj.Instance], timeout: float,
         clock: system_clock.Source = system_clock,
         sleep: abc.Callable[[float], object] = time.sleep,
         ) -> instance_obj.Instance:
    """Read an instance again and again until the work on it has ended.

    :param read: returns the instance as the primary has it now
    :param timeout: seconds
    :returns: the instance
    :raises computed.exception.ComputedError: the work has failed, or was not
        finished in time
    """
    deadline = clock.monotonic() + timeout
    pause = 0.1
    while True:
        try:
            problem = None
            found = read()
            if found.task_state is None and found.claim_id is None:
                return succeeded(found)
        except TEMPORARY as error:
            problem = str(error)
        if clock.monotonic() >= deadline:
            raise exception.ComputedError(problem or (
                f'Instance {found.name} is still {found.task_state} after '
                f'{timeout} s. The host continues with it.'))
        sleep(pause)
        pause = min(pause * 1.5, 1)


def succeeded(found: instance_obj.Instance) -> instance_obj.Instance:
    """Return an instance on which the work has ended.

    :raises computed.exception.ComputedError: the work has failed
    """
    if found.fault or found.vm_state == states.ERROR:
        raise exception.ComputedError(
            f'Instance {found.name} is {found.vm_state}: '
            f'{found.fault or "see the log of its host"}')
    return found


def ensure_not_crashed(instance: instance_obj.Instance) -> None:
    """Refuse to report success if the guest has crashed meanwhile.

    :raises computed.exception.InstanceCrashed: the guest has crashed
    """
    if instance.power_state == states.CRASHED and not instance.deleted:
        raise exception.InstanceCrashed(
            instance=instance.name, exit_code=instance.exit_code)
