"""Which instance, which host, and whether something is over."""

import time
import uuid

from computed import exception
from computed import states
from computed.objects import instance as instance_obj

# While these last, waiting goes on.
TEMPORARY = (exception.PutOff, exception.ConductorUnavailable,
             exception.OutcomeUnknown, exception.PrimaryUnavailable)


def instance(context, name, tolerant=False, deleted=False):
    """The instance that a user names, by uuid or else by name.

    What a replica does not know, the primary may.

    :param tolerant: a replica may answer
    :param deleted: one that was deleted will do, if named by its uuid
    :raises computed.exception.InstanceNotFound: there is none
    :raises computed.exception.InstanceAmbiguous: there are several
    """
    if tolerant:
        try:
            return _instance(context, name, deleted, use_slave=True)
        except exception.InstanceNotFound:
            pass
    return _instance(context, name, deleted, use_slave=False)


def _instance(context, name, deleted, use_slave):
    if (wanted := as_uuid(name)) is not None:
        try:
            found = instance_obj.Instance.get_by_uuid(
                context, wanted, use_slave=use_slave)
            if deleted or not found.deleted:
                return found
        except exception.InstanceNotFound:
            pass    # but it may be a name that looks so
    return the_one(name, list(instance_obj.InstanceList.get_by_name(
        context, name, use_slave=use_slave)))


def as_uuid(text):
    """``text`` as a uuid is written; None if it is none."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def the_one(name, found):
    """The only one of the instances found under a name.

    :raises computed.exception.InstanceNotFound: there is none
    :raises computed.exception.InstanceAmbiguous: there are several
    """
    if not found:
        raise exception.InstanceNotFound(instance=name)
    if len(found) > 1:
        raise exception.InstanceAmbiguous(
            name=name, count=len(found),
            uuids=', '.join(sorted(one.uuid for one in found)))
    return found[0]


def is_up(service, down_after):
    """Whether a host's service lives.

    :param service: a :class:`computed.objects.host.Service`, or None
    :param down_after: seconds of silence after which it does not
    """
    return service is not None and service.silent_for <= down_after


def host_for_new(hosts, here, down_after):
    """The host to build on, if the user named none.

    :param hosts: all, as just read
    :param here: the name of this host
    :raises computed.exception.ComputedError: no host is up
    :raises computed.exception.Frozen: nor is any that is not frozen
    """
    up = [host for host in hosts if is_up(host.service, down_after)]
    if not up:
        raise exception.ComputedError(
            'No host is up to build it on; `computed-manage host list` '
            'shows all.')
    found = min(up, key=lambda host: (
        host.freeze is not None, host.name != here, host.instances,
        host.name))
    ensure_not_frozen(found, 'build')
    return found.name


def ensure_not_frozen(host, operation):
    """Refuse what its host would refuse, before anything is recorded.

    :raises computed.exception.Frozen: nothing may be begun there
    """
    if host.freeze is not None:
        raise exception.Frozen(
            operation=operation, scope=host.freeze.scope,
            since=host.freeze.since, by=host.freeze.by,
            reason=host.freeze.reason)


def wait(read, timeout, clock=time):
    """Read an instance again and again until nobody works on it.

    :param read: returns it as the primary has it now
    :param timeout: seconds
    :param clock: an object with ``monotonic()`` and ``sleep()``
    :returns: the instance
    :raises computed.exception.ComputedError: the time was up; or what was
        waited for failed, and why
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
                f'{timeout} s; that goes on.'))
        clock.sleep(pause)
        pause = min(pause * 1.5, 1)


def succeeded(found):
    """An instance on which the work is over, unless that went wrong."""
    if found.fault or found.vm_state == states.ERROR:
        raise exception.ComputedError(
            f'Instance {found.name} is {found.vm_state}: '
            f'{found.fault or "see the log of its host"}')
    return found


def ensure_not_crashed(instance):
    """Refuse to call it done if its guest has crashed meanwhile.

    :raises computed.exception.InstanceCrashed: it has
    """
    if instance.power_state == states.CRASHED and not instance.deleted:
        raise exception.InstanceCrashed(
            instance=instance.name, exit_code=instance.exit_code)
