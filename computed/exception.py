"""Every error of computed. The docstring of a class is its message.

The details of an error are keyword arguments. Only they cross the wire, so a
message must not use anything else.
"""

import typing


class ComputedError(Exception):
    """Something went wrong in computed."""

    def __init__(self, message: str | None = None,
                 **kwargs: typing.Any) -> None:
        """Make an error.

        :param message: the text, instead of the docstring of the class
        :param kwargs: the values that the docstring names in braces
        """
        self.kwargs = kwargs
        super().__init__(message or self._text())

    def _text(self) -> str:
        text = self.__doc__ or ''
        try:
            return text.format(**self.kwargs)
        except Exception:
            # A peer of another release may send other values.
            return f'{text} {self.kwargs}'


def rebuilt(error: ComputedError) -> ComputedError:
    """Make a plain error again from one that came over RPC.

    The messaging library returns an instance of a subclass, and its text
    contains the traceback of the peer. A user needs one line only.

    :raises TypeError: ``error`` is not an error of this module
    """
    for cls in type(error).__mro__:
        if cls.__module__ == __name__:
            made: ComputedError = cls()
            made.kwargs = error.kwargs
            made.args = (made._text(),)
            return made
    raise TypeError(f'{type(error).__name__} is not an error of computed')


# -- instances, hosts

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


class InstanceRegressed(ComputedError):
    """Instance {instance} is held, and nothing is done to it: the database \
says {vm_state}, but its host has recorded {settled} since. Was an old backup \
restored, or a lagging replica promoted? Decide: `computed-manage instance \
reconcile {uuid} --keep-guest`, or `--keep-record`."""


class InstanceNotRegressed(ComputedError):
    """Instance {instance} is not held; there is nothing to reconcile."""


class InstanceCrashed(ComputedError):
    """Instance {instance} ended right after it started, with exit code \
{exit_code}. `computed-manage instance log {instance}` shows its output."""


class HostNotFound(ComputedError):
    """There is no host {host}. `computed-manage host list` shows all."""


class NodeNotFound(ComputedError):
    """There is no database node {node}. `computed-manage replica list` shows \
all."""


class HostUnavailable(ComputedError):
    """Host {host} does not answer. Is `computed` running there?"""


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


# -- claims

class ClaimLost(ComputedError):
    """Instance {uuid} has changed since {operation} was decided. Nothing was \
done."""


class Frozen(ComputedError):
    """{operation} is refused. {scope} is frozen since {since} by {by}: \
{reason}. `computed-manage thaw` ends the freeze."""


class FreezeChanged(ComputedError):
    """{scope} was frozen again by {by}: {reason}. That freeze is not ended. \
Repeat `computed-manage thaw` to end it."""


class NotJournaled(ComputedError):
    """Cannot write the claim for {operation} of instance {uuid} to the \
journal: {reason}. Nothing was done."""


class ClaimNotLive(ComputedError):
    """Claim {claim_id} on instance {uuid} has already ended. Nothing was \
done."""


# -- reads and writes

class InvalidValue(ComputedError):
    """{field} cannot be {value}: {problem}. Nothing was written."""


class ReadOnlyScope(ComputedError):
    """{function} writes to the database, but this request is tolerant and \
may only read. Write with a strict context."""


class TolerantObject(ComputedError):
    """Cannot {method} {name} {key}: it was read tolerantly, so its fields \
may be out of date. Read it again without use_slave, then repeat."""


class PutOff(ComputedError):
    """The request cannot be served now. Repeat it in {retry_after:.1f} s."""


class Busy(PutOff):
    """No replica is fresh enough, and the primary takes no more tolerant \
reads now (fallback_reads_per_second, fallback_concurrency). Repeat in \
{retry_after:.1f} s."""


class TooStale(PutOff):
    """The primary does not answer, and the freshest replica {freshest}; at \
most {bound:g} s are allowed. Repeat in {retry_after:.1f} s, or accept an \
older answer."""


class Resync(PutOff):
    """The database was restored or failed over since this request wrote, \
and its writes may be lost. Read everything again in {retry_after:.1f} s."""


class ResyncFull(PutOff):
    """Too many hosts are reading everything again at this moment. Repeat in \
{retry_after:.1f} s."""


class StaleFacts(ComputedError):
    """{operation} of instance {uuid} is refused: the decision rests on a \
read that was older than its bound, and no fresher read was possible. Nothing \
was done."""


class PrimaryUnavailable(ComputedError):
    """The primary database does not answer. Nothing was written."""


class PrimaryUnreachable(PrimaryUnavailable):
    """The primary database {address} cannot be used: {problem}. Start it, \
or correct [database] connection."""


class PrimaryDivided(PrimaryUnavailable):
    """The address of the primary database sends reads and writes to \
different servers. Nothing was written. Connect to the primary itself, not to \
a proxy that splits reads from writes."""


class PrimaryReadOnly(ComputedError):
    """The primary database refuses to write: it is read-only. Was another \
server promoted?"""


class WriteConflict(ComputedError):
    """Other requests changed the same rows at the same time, several times \
in a row. Nothing was written. Repeat the request."""


class InvalidName(ComputedError):
    """{name!r} cannot be a name: {rule}."""


class InvalidMarker(ComputedError):
    """Marker {marker} does not come from this list. Copy it exactly as it \
was printed, or leave it out to start at the beginning."""


class InvalidLimit(ComputedError):
    """A list cannot be limited to {limit}. Give a whole number from 1 up."""


class SchemaMismatch(ComputedError):
    """The database has schema {found}, the code needs {needed}. {remedy}"""


class SchemaUpgradeFailed(ComputedError):
    """The upgrade of the schema stopped {place}: {problem}. {remedy}"""


class SchemaBusy(ComputedError):
    """Another process still changes the schema after {wait:g} s: {holder}. \
Nothing was changed by this one. Run `computed-manage db sync` again later. \
If that process hangs, {remedy}."""


# -- RPC

class ConductorUnavailable(ComputedError):
    """No conductor answers at {url}. Start `computed`, or, if transport_url \
is set, `computed-conductor`."""


class BrokerUnavailable(ConductorUnavailable):
    """The message broker {url} cannot be used: {problem}."""


class WrongQueue(ComputedError):
    """Queue {queue} is another queue than services would declare: \
{difference}. Stop the services, delete the queue with `rabbitmqctl \
delete_queue -p {vhost} {queue}`, and start the services."""


class OutcomeUnknown(ComputedError):
    """{method} got no answer (the limit is {timeout} s). It may have been \
done. Check before you repeat it."""


class PeerFailed(ComputedError):
    """{method} failed at the other end: {error}. The log there says more."""


class CommitUnknown(OutcomeUnknown):
    """The connection to the primary database broke during a commit. The \
change may have been made. Check before you repeat it."""


class BadRequest(ComputedError):
    """The request {method} is malformed: {problem}. Nothing was done."""


class RequestExpired(ComputedError):
    """The request {method} came so late that its caller had given it up. \
Nothing was done. Repeat it if it is still wanted."""


class NotRemotable(ComputedError):
    """{method} cannot be called over RPC."""


class IncompatiblePeer(ComputedError):
    """{what} has version {version}, but this side understands {known}. \
Upgrade both sides to the same release, conductors first."""


class PinnedTooLow(ComputedError):
    """{method} needs RPC version {version}, but [upgrade_levels] allows only \
{pin}. Set it to the version of the oldest peer, or leave it out once all \
peers have the same release."""


# -- drivers

class DriverError(ComputedError):
    """The driver failed: {reason}."""


class DriverNotReady(DriverError):
    """The driver is not ready: {reason}."""


class DriverHangs(DriverNotReady):
    """The driver does not answer: {operation} takes longer than \
{timeout} s. It is not asked again until that call ends."""


class DriverTimeout(DriverError):
    """The driver did not {operation} within {timeout} s."""


class NotSupported(DriverError):
    """The {driver} driver cannot {operation}."""


class GuestNotFound(DriverError):
    """This host has no guest {uuid}."""


class ForeignGuest(DriverError):
    """Guest {uuid} belongs to {owner}, not to this host. It is not touched."""


# -- start and configuration

class ConfigError(ComputedError):
    """{option} = {value}: {problem}. {remedy}"""


class PluginError(ComputedError):
    """Entry point {name} of {group}, from package {package}: {problem}. \
Correct or uninstall that package."""


class DuplicatePlugin(ComputedError):
    """Both {first} and {second} provide {name} of {group}. Uninstall one."""


class AlreadyRunning(ComputedError):
    """Another computed (pid {pid}) already uses {path}. Stop it, or give \
this one another --state-path."""


class TaskNotFound(ComputedError):
    """There is no periodic task {name}. `computed-manage task list` shows \
all."""
