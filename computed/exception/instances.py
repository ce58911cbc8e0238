"""Errors about instances and hosts."""

from computed.exception.base import ComputedError


class InstanceNotFound(ComputedError):
    """There is no instance {instance}. `computed-manage instance list` \
shows all."""


class InstanceAmbiguous(ComputedError):
    """{count} instances are named {name}. Give the uuid of one of them: \
{uuids}."""


class InstanceExists(ComputedError):
    """There is already an instance {uuid}, named {name}, with another \
{differing}. Leave it, or create the new one with another uuid."""


class InstanceChanged(ComputedError):
    """Instance {uuid} has changed since it was read (revision {revision}). \
Read it again and repeat."""


class InstanceBusy(ComputedError):
    """Instance {instance} is busy: {task_state}. Wait until that has ended."""


class InstanceInWrongState(ComputedError):
    """Cannot {operation} instance {instance} while it is {vm_state}. \
`computed-manage instance show {instance}` shows its state."""


class TookTooLong(ComputedError):
    """It took longer than {seconds} s, as [tasks] {option} allows."""


class InstanceRegressed(ComputedError):
    """Instance {instance} is held, and nothing is done to it: the database \
says {vm_state}, but its host has recorded {settled} since. Was an old backup \
restored, or a lagging replica promoted? Decide: `computed-manage instance \
reconcile {uuid} --keep-guest`, or `--keep-record`."""


class InstanceUnknown(InstanceRegressed):
    """Instance {instance} is held, and nothing is done to it: the file with \
what its host has recorded of it was damaged or lost, so nobody knows whether \
the database has gone back in time. Decide: `computed-manage instance \
reconcile {uuid} --keep-guest`, or `--keep-record`."""


class InstanceNotRegressed(ComputedError):
    """Instance {instance} is not held; there is nothing to reconcile."""


class OrderUnknown(ComputedError):
    """The record of instance {instance} is lost, and its host does not know \
what was ordered either. Restore the record of {uuid} from another backup, or \
leave its guest to nobody with `--keep-record`."""


class InstanceCrashed(ComputedError):
    """Instance {instance} ended right after it started, with exit code \
{exit_code}. `computed-manage instance log {instance}` shows its output."""


class InstanceUnplaced(ComputedError):
    """Instance {instance} has no host, and so no console."""


class ConsoleTokenInvalid(ComputedError):
    """The token admits to no console: it is unknown or has expired, or its \
instance is deleted. Make another with `computed-manage instance \
console-token`."""


class HostNotFound(ComputedError):
    """There is no host {host}. `computed-manage host list` shows all."""


class HostHeard(ComputedError):
    """Nothing was deleted: the computed of host {host} was heard {age:.0f} s \
ago and may still act. Stop it, and repeat this once it was silent for \
{wait:.0f} s. --force does not change that."""


class HostHasInstances(ComputedError):
    """Host {host} is kept, because {count} of its instances are not deleted. \
Delete them first: `computed-manage instance delete --force`. Or repeat this \
with --force: then they stay as they are recorded, and nobody works on them."""


class HostMayReturn(ComputedError):
    """Instance {instance} is kept: its host {host} is silent, but may come \
back. If it will not, repeat this with --force: it deletes the record, and if \
the host ever comes back, it destroys the guest."""


class NodeNotFound(ComputedError):
    """There is no database node {node}. `computed-manage replica list` shows \
all."""


class HostUnavailable(ComputedError):
    """Host {host} does not answer. Is `computed` running there?"""


class NoRoom(ComputedError):
    """Host {host} has no room for this instance: {lacking}. Ask for less, \
choose another host, or give --force. `computed-manage host show {host}` \
shows what it has."""


class HostTaken(ComputedError):
    """Another computed already runs as host {host} (service {service}, heard \
{age:.0f} s ago). Give this one another [DEFAULT] host."""


class HostNotSilent(ComputedError):
    """Host {host} belongs to another run of computed (service {service}, \
heard {age:.0f} s ago), on another machine or state path. It is free once \
that run was silent for {left:.0f} s more."""


class HostCopied(HostNotSilent):
    """Host {host} has another live run with the same service.json (heard \
{age:.0f} s ago), on another machine or state path: one of them is a copy. \
Stop that one, or delete this service.json and give this one another \
[DEFAULT] host."""


class HostLost(ComputedError):
    """Host {host} belongs to another run of computed now (service \
{service}). This one stops acting and ends; its guests keep running. Stop the \
other one, or give one of them another [DEFAULT] host."""


class Replaced(ComputedError):
    """{operation} is refused: another run of computed is registered for this \
host now. Nothing was done."""


class WrongDatabase(ComputedError):
    """The guests of this host belong to database {expected}, but the \
conductor uses database {found}. Correct [database] connection."""
