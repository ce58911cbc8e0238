"""What a hypervisor driver must do, and the values it answers with.

Methods block; they are called in worker threads. Guests are named by the
instance's uuid. A method that changes a guest takes the live
:class:`computed.virt.claim.Claim` for it and begins with
``claim.ensure_live()``; on an existing guest also with
``claim.ensure_ours(mark)``.
"""

import abc
import collections.abc
import dataclasses

from computed import exception
from computed.virt import claim as virt_claim


@dataclasses.dataclass(frozen=True)
class InstanceInfo:
    """One guest, as the hypervisor has it now.

    :ivar power_state: one of ``computed.states``
    :ivar reason: why it is so, for people; None if not known
    :ivar exit_code: of a guest that ended, negative for a signal; or None
    :ivar mark: who made it; None if it carries no mark
    :ivar details: further facts to show (pid, addresses ...), by name
    """

    uuid: str
    power_state: int
    reason: str | None = None
    exit_code: int | None = None
    owner: virt_claim.Owner | None = None
    details: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All guests at one moment.

    :ivar complete: only then does a missing uuid mean an absent guest
    :ivar instances: ``{uuid: InstanceInfo}``
    """

    complete: bool
    instances: dict[str, InstanceInfo]


@dataclasses.dataclass(frozen=True)
class InstanceSpec:
    """What to make; ``network`` is ``host`` or ``private``."""

    uuid: str
    name: str
    command: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    network: str


@dataclasses.dataclass(frozen=True)
class HostResources:
    """What the host has: measured, not what is promised to instances."""

    hypervisor_type: str
    hypervisor_version: str
    vcpus: int
    memory_mb: int
    memory_mb_available: int
    disk_gb: int
    disk_gb_free: int


@dataclasses.dataclass(frozen=True)
class InterfaceCounters:
    """What one interface has carried; ``rx`` is into the guest.

    :ivar device: its name, within the guest if the driver knows
    :ivar mac_address: None if it has none; a counter is None if not known
    :ivar epoch: changes whenever the counters begin again at zero
    """

    uuid: str
    device: str
    mac_address: str | None
    rx_bytes: int | None
    tx_bytes: int | None
    rx_packets: int | None
    tx_packets: int | None
    epoch: str


class ComputeDriver(abc.ABC):
    """The smallest set of calls that the tasks and operations need.

    Errors: ``GuestNotFound``, ``DriverNotReady``, ``DriverTimeout``,
    ``NotSupported``, ``ForeignGuest`` and ``DriverError`` for the rest. An
    error or an incomplete snapshot means *unknown*, never *absent*.
    """

    #: What this one can that not every one must: ``interface_counters``.
    capabilities: frozenset[str] = frozenset()

    #: Whether it waits only in ways that eventlet replaces: by Python's own
    #: ``threading``, ``socket``, ``select.select``, ``subprocess``. If not,
    #: the backend ``eventlet`` is refused with it.
    cooperative: bool = False

    def __init__(self, conf):
        """``conf`` is the whole configuration. Touches nothing yet."""
        self.conf = conf

    @abc.abstractmethod
    def init_host(self, owner):
        """Get ready; guests made from now on carry ``mark``.

        :raises computed.exception.DriverNotReady: with the reason
        """

    @abc.abstractmethod
    def close(self):
        """Let go of threads and descriptors. Guests keep running."""

    @abc.abstractmethod
    def list_instances(self):
        """All guests, foreign ones included, in one call.

        :rtype: Snapshot
        """

    @abc.abstractmethod
    def get_instance(self, uuid):
        """One guest, looked at now, never from a cache.

        :rtype: InstanceInfo
        :raises computed.exception.GuestNotFound: there is none
        """

    @abc.abstractmethod
    def host_resources(self):
        """:rtype: HostResources"""

    def interface_counters(self, uuids=None):
        """The counters of every interface of guests that run, in one call.

        Guests that do not, have no interfaces or cannot be looked at are
        left out. Only with the capability ``interface_counters``.

        :param uuids: of whom; None for all guests
        :returns: a list of :class:`InterfaceCounters`
        :raises computed.exception.NotSupported: it lacks the capability
        """
        raise exception.NotSupported(
            driver=type(self).__name__, operation='count bytes')

    @abc.abstractmethod
    def spawn(self, claim, spec):
        """Make and start a guest. Fails whole: a failed one leaves nothing.

        :type spec: InstanceSpec
        """

    @abc.abstractmethod
    def destroy(self, claim):
        """End the guest and remove its files; an absent one is success."""

    @abc.abstractmethod
    def power_on(self, claim):
        """Start a stopped guest; one that runs already is success."""

    @abc.abstractmethod
    def power_off(self, claim, timeout_s):
        """Ask the guest to end, after ``timeout_s`` seconds force it.

        0 forces at once; one that is off already is success.
        """

    @abc.abstractmethod
    def reboot(self, claim, hard, timeout_s):
        """End the guest, as ``power_off`` (``hard``: at once), and start it.
        """

    @abc.abstractmethod
    def pause(self, claim):
        """Stop the guest's processors; a paused one is success."""

    @abc.abstractmethod
    def unpause(self, claim):
        """Let a paused guest run on; a running one is success."""

    @abc.abstractmethod
    def console_log(self, uuid, max_bytes):
        """The last ``max_bytes`` of what the guest printed, as text."""

    @abc.abstractmethod
    def subscribe(
            self, callback: collections.abc.Callable[[str], None] | None):
        """Call ``callback(uuid)`` soon after a guest ended or started.

        A hint, never a fact: late, doubled and lost calls are allowed. It
        is called on a thread of the driver and must not block. ``None``
        ends the subscription.
        """
