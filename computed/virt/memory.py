"""A driver for tests: its guests are dictionary entries, its faults scripted.

``tests/support/driver_contract.py`` tests it like every other driver.
"""

import collections
import collections.abc
import dataclasses
import functools
import typing

from oslo_config import cfg
from oslo_log import log as logging

from computed import exception
from computed import states
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt import memory_guests

LOG = logging.getLogger(__name__)

_P = typing.ParamSpec('_P')
_R = typing.TypeVar('_R')


def _scripted(
        method: collections.abc.Callable[
            typing.Concatenate['MemoryDriver', _P], _R]
        ) -> collections.abc.Callable[
            typing.Concatenate['MemoryDriver', _P], _R]:
    """Record each call; raise the error that a test prepared, if any."""
    @functools.wraps(method)
    def call(self: 'MemoryDriver', *args: _P.args,
             **kwargs: _P.kwargs) -> _R:
        with self._guests.lock:
            self.calls.append(method.__name__)
            faults = self._faults[method.__name__]
            error = faults.popleft() if faults else None
        if error is not None:
            raise error
        with self._guests.lock:
            result = method(self, *args, **kwargs)
        self._deliver_events()
        return result
    return call


class MemoryDriver(driver.ComputeDriver):
    """Manage guests that exist only in this process.

    :ivar complete: what the next snapshots say about themselves; a snapshot
        that is not complete is also empty
    :ivar capabilities: a test may remove one
    :ivar stuck: why no files can be removed; None: they can
    :ivar files_age: seconds since files that are left changed last
    :ivar calls: names of the methods that were called, in order
    """

    cooperative = True

    def __init__(self, conf: cfg.ConfigOpts,
                 guests: memory_guests.Guests | None = None) -> None:
        """Manage ``guests``.

        :param guests: the guests of this machine; None: a machine without
            guests
        """
        super().__init__(conf)
        self.complete = True
        self.stuck: str | None = None
        self.files_age = 1e6
        self.calls: list[str] = []
        self.capabilities = frozenset([
            'interface_counters', 'volumes', 'block_counters'])
        self._guests = memory_guests.Guests() if guests is None else guests
        self._faults: dict[str, collections.deque[BaseException]] = (
            collections.defaultdict(collections.deque))
        self._owner: virt_claim.Owner | None = None
        self._callback: driver.LifecycleCallback | None = None
        self._events: collections.deque[str] = collections.deque()

    # What a test does without the knowledge of the service

    def fail_next(self, method: str, error: BaseException) -> None:
        """Make the next call of ``method`` raise ``error`` and do nothing.

        Errors queue up: each call takes one.
        """
        with self._guests.lock:
            self._faults[method].append(error)

    def set_power_state(self, uuid: str, power_state: int,
                        exit_code: int | None = None,
                        event: bool = True) -> None:
        """Change a guest from outside.

        :param event: whether the subscriber gets a lifecycle event
        """
        with self._guests.lock:
            self._change(uuid, power_state, exit_code=exit_code)
            if not event:
                self._events.clear()
        self._deliver_events()

    def vanish(self, uuid: str) -> None:
        """Remove a guest as if an operator had removed it by hand."""
        with self._guests.lock:
            self._guests.remove(uuid)

    def add_foreign(self, uuid: str, owner: virt_claim.Owner | None,
                    power_state: int = states.RUNNING) -> None:
        """Add a guest that this driver did not make.

        :param owner: the owner that it carries; None: it carries none
        """
        with self._guests.lock:
            self._guests.put(driver.InstanceInfo(
                uuid=uuid, power_state=power_state, owner=owner))

    def set_counters(self, uuid: str, mac_address: str, rx_bytes: int,
                     tx_bytes: int, device: str = 'eth0') -> None:
        """Set the counters of an interface; they stay until the next call.

        A lower value is a reset in the same epoch. A start of the guest sets
        the counters to zero and begins another epoch.
        """
        with self._guests.lock:
            self._guests.set_counters(driver.InterfaceCounters(
                uuid=uuid, device=device, mac_address=mac_address,
                rx_bytes=rx_bytes, tx_bytes=tx_bytes, rx_packets=None,
                tx_packets=None, epoch=''))

    def use_volume(self, uuid: str, volume_id: str,
                   **more: int | None) -> None:
        """Let a guest use a volume: add to its counters, by their names."""
        with self._guests.lock:
            self._guests.use_volume(uuid, volume_id, **more)

    def leave_files(self, uuid: str) -> None:
        """Let a guest that is gone have left files."""
        with self._guests.lock:
            self._guests.leave_files(uuid)

    # The interface

    @_scripted
    def init_host(self, owner: virt_claim.Owner) -> None:
        self._owner = owner

    @_scripted
    def close(self) -> None:
        self._callback = None

    @_scripted
    def list_instances(self) -> driver.Snapshot:
        return driver.Snapshot(
            complete=self.complete,
            instances=dict(self._guests.infos) if self.complete else {})

    @_scripted
    def get_instance(self, uuid: str) -> driver.InstanceInfo:
        return self._existing(uuid)

    @_scripted
    def host_resources(self) -> driver.HostResources:
        return driver.HostResources(
            hypervisor_type='memory', hypervisor_version='1', vcpus=8,
            memory_mb=16384, memory_mb_available=8192, disk_gb=100,
            disk_gb_free=50)

    @_scripted
    def interface_counters(
            self, uuids: collections.abc.Collection[str] | None = None
            ) -> list[driver.InterfaceCounters]:
        return [counters for counters in self._guests.counters()
                if uuids is None or counters.uuid in uuids]

    @_scripted
    def block_counters(
            self, uuids: collections.abc.Collection[str] | None = None
            ) -> list[driver.BlockCounters]:
        return [counters for counters in self._guests.block_counters()
                if uuids is None or counters.uuid in uuids]

    @_scripted
    def list_volumes(self, uuid: str) -> list[driver.Volume]:
        return [volume for (guest, _), volume in self._guests.volumes.items()
                if guest == uuid]

    @_scripted
    def attach_volume(self, claim: virt_claim.Claim,
                      volume: driver.Volume) -> None:
        self._ours(claim)
        for (uuid, volume_id), other in self._guests.volumes.items():
            if volume_id == volume.volume_id or other.path == volume.path:
                if uuid == claim.uuid:
                    return
                raise exception.VolumeUnusable(
                    path=volume.path, problem=f'guest {uuid} has it')
        self._guests.attach(claim.uuid, volume)

    @_scripted
    def detach_volume(self, claim: virt_claim.Claim, volume_id: str) -> None:
        self._ours(claim)
        self._guests.detach(claim.uuid, volume_id)

    @_scripted
    def spawn(self, claim: virt_claim.Claim,
              spec: driver.InstanceSpec) -> None:
        claim.ensure_live()
        if self._owner is None:
            raise exception.DriverNotReady(reason='init_host was not called')
        claim.ensure_ours(self._owner)
        if spec.uuid != claim.uuid:
            raise exception.DriverError(
                reason=f'the claim is for guest {claim.uuid}, '
                       f'not {spec.uuid}')
        if guest := self._guests.infos.get(spec.uuid):
            claim.ensure_ours(guest.owner)
            raise exception.DriverError(
                reason=f'guest {spec.uuid} exists already')
        self._guests.put(driver.InstanceInfo(
            uuid=spec.uuid, power_state=states.RUNNING, owner=self._owner,
            details={'name': spec.name, 'interfaces': []}))
        self._events.append(spec.uuid)

    @_scripted
    def destroy(self, claim: virt_claim.Claim) -> None:
        claim.ensure_live()
        if guest := self._guests.infos.get(claim.uuid):
            claim.ensure_ours(guest.owner)
            self._change(claim.uuid, states.SHUTDOWN)
            self._guests.remove(claim.uuid)
        if self.stuck:
            self._guests.leave_files(claim.uuid)
            raise exception.FilesLeft(uuid=claim.uuid, reason=self.stuck)
        self._guests.clean(claim.uuid)

    @_scripted
    def list_instance_files(self) -> dict[str, float]:
        return dict.fromkeys(
            self._guests.files - self._guests.infos.keys(), self.files_age)

    @_scripted
    def power_on(self, claim: virt_claim.Claim) -> None:
        if self._ours(claim).power_state not in states.ON:
            self._change(claim.uuid, states.RUNNING)

    @_scripted
    def power_off(self, claim: virt_claim.Claim, timeout_s: float) -> None:
        if self._ours(claim).power_state in states.ON:
            self._change(claim.uuid, states.SHUTDOWN, 'was stopped')

    @_scripted
    def reboot(self, claim: virt_claim.Claim, hard: bool,
               timeout_s: float) -> None:
        self._ours(claim)
        self._change(claim.uuid, states.SHUTDOWN, 'was stopped')
        self._change(claim.uuid, states.RUNNING)

    @_scripted
    def pause(self, claim: virt_claim.Claim) -> None:
        self._ensure_on(claim)
        self._change(claim.uuid, states.POWER_PAUSED)

    @_scripted
    def unpause(self, claim: virt_claim.Claim) -> None:
        self._ensure_on(claim)
        self._change(claim.uuid, states.RUNNING)

    @_scripted
    def console_log(self, uuid: str, max_bytes: int) -> str:
        self._existing(uuid)
        return f'console of {uuid}\n'[-max_bytes:] if max_bytes else ''

    @_scripted
    def subscribe(self, callback: driver.LifecycleCallback | None) -> None:
        self._callback = callback

    def _existing(self, uuid: str) -> driver.InstanceInfo:
        if uuid not in self._guests.infos:
            raise exception.GuestNotFound(uuid=uuid)
        return self._guests.infos[uuid]

    def _ours(self, claim: virt_claim.Claim) -> driver.InstanceInfo:
        claim.ensure_live()
        guest = self._existing(claim.uuid)
        claim.ensure_ours(guest.owner)
        return guest

    def _ensure_on(self, claim: virt_claim.Claim) -> None:
        if self._ours(claim).power_state not in states.ON:
            raise exception.DriverError(
                reason=f'guest {claim.uuid} does not run')

    def _change(self, uuid: str, power_state: int, reason: str | None = None,
                exit_code: int | None = None) -> None:
        if self._guests.put(dataclasses.replace(
                self._existing(uuid), power_state=power_state, reason=reason,
                exit_code=exit_code)):
            self._events.append(uuid)

    def _deliver_events(self) -> None:
        """Call the callback without the lock: it may call the driver."""
        while self._events:
            uuid, callback = self._events.popleft(), self._callback
            if callback is None:
                continue
            try:
                callback(uuid)
            except Exception:
                LOG.exception('The subscriber failed on the lifecycle event '
                              'of guest %s', uuid)
