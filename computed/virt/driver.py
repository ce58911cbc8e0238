"""The interface of a hypervisor driver.

A *guest* is what the hypervisor runs for one instance: a virtual machine, a
tree of processes. Its name is the uuid of the instance.

These rules hold for every method:

* It may block. It runs in a worker thread, never in the thread that answers
  RPC requests.
* Several threads call a driver at the same time. The caller makes one change
  of a guest after the other; changes of different guests, and reads of any
  guest, run at the same time as these.
* A method that changes a guest takes the :class:`~computed.virt.claim.Claim`
  on it. It calls ``claim.ensure_live()`` first, which raises ``ClaimNotLive``.
  If the guest exists, it then calls ``claim.ensure_ours(owner)`` with the
  owner that the guest carries, which raises ``ForeignGuest``.
* Such a method is idempotent: it succeeds if the guest is already in the
  wanted state. The service repeats an operation that a crash interrupted.
  If the guest is absent, it raises ``GuestNotFound``; only
  :meth:`ComputeDriver.destroy` then succeeds.
* It returns when the change is complete. If it raises, the caller looks at
  the guest again and records what it finds.
* An error, or a snapshot that is not complete, means that the state of the
  guest is *unknown*. It never means that the guest is *absent*.

Errors are :class:`computed.exception.DriverError` and its subclasses. An
operator reads their texts: name the thing, its value and the remedy.

==================  ========================================================
``GuestNotFound``   this host has no such guest
``ForeignGuest``    the guest has another owner (``claim.ensure_ours``)
``FilesLeft``       a guest was destroyed, and files of it are left
``DriverTimeout``   the hypervisor did not do it in time
``NotSupported``    this driver, or this host, can never do it
``DriverNotReady``  the hypervisor cannot be used now; try again later
``DriverError``     any other failure
==================  ========================================================
"""

import abc
import collections.abc

from oslo_config import cfg

from computed import exception
from computed.virt import claim as virt_claim
from computed.virt import values

#: Gets the uuid of the guest that a lifecycle event is about.
LifecycleCallback = collections.abc.Callable[[str], None]

# Each is documented in ``values.py``.
InstanceInfo = values.InstanceInfo
Snapshot = values.Snapshot
InstanceSpec = values.InstanceSpec
HostResources = values.HostResources
InterfaceCounters = values.InterfaceCounters
Volume = values.Volume
BlockCounters = values.BlockCounters


class ComputeDriver(abc.ABC):
    """Manage the guests of one hypervisor on this host.

    The service makes one object of a driver and calls :meth:`init_host` until
    it succeeds. It then calls the other methods, and :meth:`close` at the
    end. See the rules for every method at the top of this module.
    """

    #: Optional abilities of this driver: ``interface_counters``, ``volumes``
    #: and ``block_counters``. They may depend on the host, and are asked for
    #: after :meth:`init_host`.
    capabilities: frozenset[str] = frozenset()

    #: Whether this driver waits only in ways that eventlet replaces: with
    #: Python's ``threading``, ``socket``, ``select.select``, ``selectors``
    #: or ``subprocess``. The service refuses to start with the backend
    #: ``eventlet`` and a driver that does not.
    cooperative: bool = False

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Keep the configuration. Do not touch the hypervisor yet.

        :param conf: the whole configuration of the service
        """
        self.conf = conf

    @abc.abstractmethod
    def init_host(self, owner: virt_claim.Owner) -> None:
        """Connect to the hypervisor and prepare this host.

        The service repeats the call until it succeeds. Guests that exist
        stay as they are.

        :param owner: the owner that every guest carries that
            :meth:`spawn` makes from now on
        :raises computed.exception.DriverNotReady: the hypervisor cannot be
            used; the text gives the reason
        """

    def shortcomings(self) -> list[str]:
        """Return what guests lack on this host, as text for an operator.

        ``computed-status upgrade check`` shows it. It calls this method
        before :meth:`init_host`.

        :raises computed.exception.DriverNotReady: it cannot be found out
        """
        return []

    @abc.abstractmethod
    def close(self) -> None:
        """Release threads, connections and descriptors. Guests keep running.

        The subscription ends too. A second call does nothing.
        """

    @abc.abstractmethod
    def list_instances(self) -> Snapshot:
        """List all guests of this host, with those of other owners.

        The periodic tasks call this every few seconds: make one call to the
        hypervisor for all guests, not one for each. If some guests cannot
        be read, return the others with ``complete=False``; do not raise.
        """

    @abc.abstractmethod
    def get_instance(self, uuid: str) -> InstanceInfo:
        """Return one guest as it is now.

        Ask the hypervisor each time, never a cache: the caller decides by
        the answer whether it stops or starts a guest.

        :param uuid: the uuid of the guest
        :raises computed.exception.GuestNotFound: this host has no such guest
        :raises computed.exception.DriverError: the state is unknown
        """

    @abc.abstractmethod
    def host_resources(self) -> HostResources:
        """Measure the resources of this host.

        :raises computed.exception.DriverError: they cannot be measured
        """

    def interface_counters(
            self, uuids: collections.abc.Collection[str] | None = None
            ) -> list[InterfaceCounters]:
        """Return the traffic counters of every interface of running guests.

        Leave out a guest that is off, absent, without interfaces or not
        readable. Only drivers with the capability ``interface_counters``
        implement this.

        :param uuids: the guests to look at; None: all guests
        :raises computed.exception.NotSupported: this driver lacks the
            capability
        """
        raise exception.NotSupported(
            driver=type(self).__name__, operation='count bytes')

    def block_counters(
            self, uuids: collections.abc.Collection[str] | None = None
            ) -> list[BlockCounters]:
        """Return the counters of every volume of running guests.

        Leave out a guest that is off, absent, without volumes or not
        readable. Only drivers with the capability ``block_counters``
        implement this.

        :param uuids: the guests to look at; None: all guests
        :raises computed.exception.NotSupported: this driver lacks the
            capability
        """
        raise exception.NotSupported(
            driver=type(self).__name__, operation='count bytes of volumes')

    def list_volumes(self, uuid: str) -> list[Volume]:
        """Return the volumes that a guest has; none without the capability.

        :raises computed.exception.DriverError: they are not known
        """
        return []

    def attach_volume(self, claim: virt_claim.Claim, volume: Volume) -> None:
        """Give a guest a volume, now and at each start, until it is detached.

        The guest may be on or off. It gets nothing else than this volume. If
        the call raises, it does not have it. Only drivers with the capability
        ``volumes`` implement this.

        :raises computed.exception.VolumeUnusable: the path is no file or
            block device that this guest may get
        :raises computed.exception.NotSupported: this driver, or this host,
            cannot do it, or not while the guest runs
        """
        raise exception.NotSupported(
            driver=type(self).__name__, operation='attach volumes')

    def detach_volume(self, claim: virt_claim.Claim, volume_id: str) -> None:
        """Take a volume from a guest, which may be on or off.

        A guest that does not have it is success.

        :raises computed.exception.DriverError: for example, the guest uses
            it; the guest still has it then
        """
        raise exception.NotSupported(
            driver=type(self).__name__, operation='detach volumes')

    @abc.abstractmethod
    def spawn(self, claim: virt_claim.Claim, spec: InstanceSpec) -> None:
        """Make a guest and start it.

        The guest carries the owner that :meth:`init_host` got. A spawn that
        fails leaves nothing behind: no guest, no file, no interface. This is
        the one change that is not idempotent: a guest that exists is an
        error.

        :param claim: the claim on the instance of ``spec``
        :param spec: the guest to make; ``spec.uuid`` equals ``claim.uuid``
        :raises computed.exception.NotSupported: this host can never make
            such a guest
        :raises computed.exception.DriverError: the guest exists already, or
            the claim is for another guest
        """

    @abc.abstractmethod
    def destroy(self, claim: virt_claim.Claim) -> None:
        """End a guest at once and remove it with its files.

        An absent guest is success, and the files that an earlier call left
        are removed.

        :raises computed.exception.DriverTimeout: the guest did not end
        :raises computed.exception.FilesLeft: the guest is gone, and
            :meth:`delete_instance_files` must remove the rest of its files
        """

    def list_instance_files(self) -> dict[str, float]:
        """Return the guests that are gone and have left files.

        A driver whose :meth:`destroy` always removes everything need not
        implement this.

        :returns: ``{uuid: seconds since the files changed last}``
        :raises computed.exception.DriverError: it is not known
        """
        return {}

    def delete_instance_files(self, claim: virt_claim.Claim) -> None:
        """Remove the files that a guest has left which is gone.

        It follows no link. That nothing is left is success.

        :raises computed.exception.FilesLeft: something cannot be removed
        :raises computed.exception.DriverError: the guest is there, and stays
        """
        claim.ensure_live()
        try:
            guest = self.get_instance(claim.uuid)
        except exception.GuestNotFound:
            self.destroy(claim)
        else:
            claim.ensure_ours(guest.owner)
            raise exception.DriverError(
                reason=f'guest {claim.uuid} is there')

    @abc.abstractmethod
    def power_on(self, claim: virt_claim.Claim) -> None:
        """Start a guest that is off.

        A guest that runs or is paused stays as it is; that is success.
        """

    @abc.abstractmethod
    def power_off(self, claim: virt_claim.Claim, timeout_s: float) -> None:
        """Ask a guest to shut down, and force it after a timeout.

        A paused guest is powered off too.

        :param timeout_s: seconds that the guest may take; 0: force it now
        :raises computed.exception.DriverTimeout: the guest did not end even
            by force
        """

    @abc.abstractmethod
    def reboot(self, claim: virt_claim.Claim, hard: bool,
               timeout_s: float) -> None:
        """Power a guest off and start it again.

        A guest that is off is only started.

        :param hard: force the guest off at once
        :param timeout_s: as for :meth:`power_off`; has no effect if ``hard``
        :raises computed.exception.DriverTimeout: the guest did not end
        """

    @abc.abstractmethod
    def pause(self, claim: virt_claim.Claim) -> None:
        """Stop the processors of a guest; its memory stays.

        :raises computed.exception.DriverTimeout: the guest still runs
        :raises computed.exception.DriverError: the guest is off
        """

    @abc.abstractmethod
    def unpause(self, claim: virt_claim.Claim) -> None:
        """Let the processors of a paused guest run again.

        :raises computed.exception.DriverTimeout: the guest is still paused
        :raises computed.exception.DriverError: the guest is off
        """

    @abc.abstractmethod
    def console_log(self, uuid: str, max_bytes: int) -> str:
        """Return the end of what a guest printed.

        Bytes that are not UTF-8 become U+FFFD. A guest that printed nothing
        has an empty console.

        :param uuid: the uuid of the guest
        :param max_bytes: length of the wanted end; 0: return an empty text
        :raises computed.exception.GuestNotFound: this host has no such guest
        :raises computed.exception.DriverError: it cannot be read
        """

    @abc.abstractmethod
    def subscribe(self, callback: LifecycleCallback | None) -> None:
        """Call ``callback(uuid)`` soon after a guest started or ended.

        Such a call is a lifecycle event. It makes the service look at the
        guest early; the periodic task finds the change in any case. So an
        event may come late, twice or not at all, and a driver without
        events implements this method and never calls back.

        The driver calls back on a thread of its own or on the thread that
        made the change, and holds no lock meanwhile: the callback may call
        the driver. The callback returns at once. If it raises, the driver
        logs that and goes on.

        :param callback: replaces the one of an earlier call; None ends the
            subscription, and no call begins after that
        """
