"""Every error of computed. The docstring is the message.

Details are keyword arguments; they are all that crosses the wire, so a
message must be made of nothing else.
"""


class ComputedError(Exception):
    """Something went wrong in computed."""

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        super().__init__(message or self.__doc__.format(**kwargs))


def rebuilt(error):
    """Make a plain error again from one that came over RPC.

    The messaging library returns a subclass whose text carries the peer's
    traceback; a user wants the one line.
    """
    for cls in type(error).__mro__:
        if cls.__module__ == __name__:
            return cls(**error.kwargs)
    raise TypeError(f'{type(error).__name__} is not an error of computed')


# -- instances, hosts

class InstanceNotFound(ComputedError):
    """No instance {instance}. `computed-manage instance list` shows all."""


class InstanceAmbiguous(ComputedError):
    """{count} instances are named {name}; say which by uuid: {uuids}."""


class InstanceChanged(ComputedError):
    """Instance {uuid} changed since it was read (revision {revision}); \
read it again and repeat."""


class InstanceBusy(ComputedError):
    """Instance {instance} is busy: {task_state}. Wait until that ended."""


class InstanceInWrongState(ComputedError):
    """Cannot {operation} instance {instance} while it is {vm_state}."""


class InstanceCrashed(ComputedError):
    """Instance {instance} ended at once, exit code {exit_code}; \
`computed-manage instance log {instance}` shows what it printed."""


class HostNotFound(ComputedError):
    """No host {host}. `computed-manage host list` shows all."""


class NodeNotFound(ComputedError):
    """No database node {node}. `computed-manage replica list` shows all."""


class HostUnavailable(ComputedError):
    """Host {host} does not answer. Is `computed` running there?"""


class HostTaken(ComputedError):
    """Host {host} already has a live computed (service {service}, seen \
{age:.0f} s ago); give this one another [DEFAULT] host."""


class WrongDatabase(ComputedError):
    """This host's guests belong to database {expected}, but the conductor \
answers for {found}; correct [database] connection."""


# -- claims

class ClaimLost(ComputedError):
    """Instance {uuid} is no longer as it was when {operation} was decided; \
nothing was done."""


class Frozen(ComputedError):
    """{operation} is refused. {scope} is frozen since {since} by {by}: \
{reason}. `computed-manage thaw` ends that."""


class NotJournaled(ComputedError):
    """{operation} of instance {uuid} could not be journaled ({reason}); \
nothing was done."""


class ClaimNotLive(ComputedError):
    """Claim {claim_id} on instance {uuid} has ended; nothing was done."""


# -- reads and writes

class ReadOnlyScope(ComputedError):
    """{function} writes, but the request only tolerates lagging reads."""


class PutOff(ComputedError):
    """Not now; repeat in {retry_after:.1f} s."""


class Busy(PutOff):
    """No replica is fresh enough and the primary's budget for such reads \
is spent; repeat in {retry_after:.1f} s."""


class TooStale(PutOff):
    """The primary does not answer, and of the replicas the freshest \
{freshest}; at most {bound:g} s are allowed. Repeat in {retry_after:.1f} s, \
or accept an older answer."""


class Resync(PutOff):
    """The database was restored, or failed over, since this request wrote; \
what it wrote may be lost. Read anew in {retry_after:.1f} s."""


class ResyncFull(PutOff):
    """Too many hosts read everything anew just now; repeat in \
{retry_after:.1f} s."""


class StaleFacts(ComputedError):
    """{operation} of instance {uuid} rests on an answer that was older than \
its bound (no better one could be had); nothing was done."""


class PrimaryUnavailable(ComputedError):
    """The primary database does not answer; nothing was written."""


class PrimaryUnreachable(PrimaryUnavailable):
    """The primary database {address} cannot be used: {problem}. Start it, \
or correct [database] connection."""


class PrimaryDivided(PrimaryUnavailable):
    """The address of the primary database leads reads to another server \
than writes; nothing was written. Connect to the primary itself, not through \
a proxy that splits them."""


class PrimaryReadOnly(ComputedError):
    """The primary database refuses to write: it is read-only. Was another \
server promoted?"""


class Contended(ComputedError):
    """Others kept changing the same rows at the same time; nothing was \
written. Repeat it."""


class InvalidMarker(ComputedError):
    """Marker {marker} was not given by this list; repeat it as it was \
printed, or leave it out to begin at the beginning."""


class InvalidLimit(ComputedError):
    """A list cannot be limited to {limit}; give a whole number from 1 up."""


class SchemaMismatch(ComputedError):
    """The database has schema {found}, the code needs {needed}. {remedy}"""


# -- RPC

class ConductorUnavailable(ComputedError):
    """No conductor answers at {url}. Is `computed` running, or, with a \
transport_url, `computed-conductor`?"""


class BrokerUnavailable(ConductorUnavailable):
    """The message broker {url} cannot be used: {problem}."""


class WrongQueue(ComputedError):
    """Queue {queue} is another queue than services would declare: \
{difference}. Stop them, delete it with `rabbitmqctl delete_queue -p {vhost} \
{queue}`, start them."""


class PerhapsDone(ComputedError):
    """No answer to {method} (the limit is {timeout} s). It may have been \
done; look before repeating."""


class PeerFailed(ComputedError):
    """{method} failed at the other end: {error}. Its log says more."""


class PerhapsWritten(PerhapsDone):
    """The primary database broke off while it committed. The change may \
have been made; look before repeating."""


class NotRemotable(ComputedError):
    """{method} cannot be called from afar."""


class IncompatiblePeer(ComputedError):
    """{what} of version {version} is not understood here ({known} is); \
bring both ends to one release, conductors first."""


class PinnedTooLow(ComputedError):
    """{method} needs RPC version {version}, but [upgrade_levels] allows \
{pin}; write the version of the oldest peer, or leave it out once all are of \
one release."""


# -- drivers

class DriverError(ComputedError):
    """The driver failed: {reason}."""


class DriverNotReady(DriverError):
    """The driver is not ready: {reason}."""


class DriverTimeout(DriverError):
    """The driver took longer than {timeout} s to {operation}."""


class NotSupported(DriverError):
    """The {driver} driver cannot {operation}."""


class GuestNotFound(DriverError):
    """This host has no guest {uuid}."""


class ForeignGuest(DriverError):
    """Guest {uuid} is not ours: it belongs to {owner}. It is left alone."""


# -- start and configuration

class ConfigError(ComputedError):
    """{option} = {value}: {problem}. {remedy}"""


class PluginError(ComputedError):
    """Entry point {name} of {group}, from package {package}: {problem}. \
Correct or uninstall that package."""


class DuplicatePlugin(ComputedError):
    """Both {first} and {second} bring a {name} of {group}. Uninstall one."""


class AlreadyRunning(ComputedError):
    """Another computed (pid {pid}) uses {path}; stop it first, or give \
this one another --state-path."""


class TaskNotFound(ComputedError):
    """No periodic task {name}. `computed-manage task list` shows all."""
