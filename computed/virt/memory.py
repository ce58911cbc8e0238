"""A driver for tests: guests are entries of a dictionary, faults scripted.

Held to the same contract as the real ones
(``tests/support/driver_contract.py``).
"""

import collections
import dataclasses
import functools
import threading

from oslo_log import log as logging

from computed import exception
from computed import states
from computed.virt import driver

LOG = logging.getLogger(__name__)


def _scripted(method):
    """Record the call; raise what the test asked for instead of acting."""
    @functools.wraps(method)
    def call(self, *args, **kwargs):
        with self._lock:
            self.calls.append(method.__name__)
            faults = self._faults[method.__name__]
            error = faults.popleft() if faults else None
        if error is not None:
            raise error
        with self._lock:
            result = method(self, *args, **kwargs)
        self._tell()
        return result
    return call


class MemoryDriver(driver.ComputeDriver):
    """Guests that exist only within this object.

    :ivar complete: what the next snapshots say about themselves; an
        incomplete one is also empty
    :ivar capabilities: a test may take them away
    :ivar calls: names of the interface's methods in the order of the calls
    """

    cooperative = True

    def __init__(self, conf):
        super().__init__(conf)
        self.complete = True
        self.calls = []
        self.capabilities = frozenset(['interface_counters'])
        self._guests = {}       # uuid: InstanceInfo
        self._starts = collections.Counter()    # by uuid: the epoch
        self._interfaces = {}   # (uuid, mac): InterfaceCounters
        self._faults = collections.defaultdict(collections.deque)
        self._owner = None
        self._callback = None
        self._events = collections.deque()
        self._lock = threading.RLock()

    # What tests do behind the back of the code under test

    def fail_next(self, method, error):
        """Have the next call of ``method`` raise ``error`` and do nothing.

        Repeated, one call after the other fails.
        """
        with self._lock:
            self._faults[method].append(error)

    def set_power_state(self, uuid, power_state, exit_code=None,
                        event=True):
        """Change a guest from outside; without ``event`` nobody is told."""
        with self._lock:
            self._change(uuid, power_state, exit_code=exit_code)
            if not event:
                self._events.clear()
        self._tell()

    def vanish(self, uuid):
        """Have a guest gone, as if somebody had removed it by hand."""
        with self._lock:
            del self._guests[uuid]

    def add_foreign(self, uuid, owner, power_state=states.RUNNING):
        """Add a guest of somebody else; ``mark`` None: of nobody."""
        with self._lock:
            self._guests[uuid] = driver.InstanceInfo(
                uuid=uuid, power_state=power_state, owner=owner)

    def set_counters(self, uuid, mac_address, rx_bytes, tx_bytes,
                     device='eth0'):
        """Have an interface have carried so much, now and until changed.

        Lower than before is a reset that nobody tells of. A start of the
        guest begins again at zero, in another epoch.
        """
        with self._lock:
            self._interfaces[uuid, mac_address] = driver.InterfaceCounters(
                uuid=uuid, device=device, mac_address=mac_address,
                rx_bytes=rx_bytes, tx_bytes=tx_bytes, rx_packets=None,
                tx_packets=None, epoch='')

    # The interface

    @_scripted
    def init_host(self, owner):
        self._owner = owner

    @_scripted
    def close(self):
        self._callback = None

    @_scripted
    def list_instances(self):
        return driver.Snapshot(
            complete=self.complete,
            instances=dict(self._guests) if self.complete else {})

    @_scripted
    def get_instance(self, uuid):
        return self._existing(uuid)

    @_scripted
    def host_resources(self):
        return driver.HostResources(
            hypervisor_type='memory', hypervisor_version='1', vcpus=8,
            memory_mb=16384, memory_mb_available=8192, disk_gb=100,
            disk_gb_free=50)

    @_scripted
    def interface_counters(self, uuids=None):
        return [
            dataclasses.replace(counters, epoch=str(self._starts[uuid]))
            for (uuid, _), counters in self._interfaces.items()
            if (uuids is None or uuid in uuids) and
            uuid in self._guests and
            self._guests[uuid].power_state in states.ON]

    @_scripted
    def spawn(self, claim, spec):
        claim.ensure_live()
        if self._owner is None:
            raise exception.DriverNotReady(reason='it was not started')
        claim.ensure_ours(self._owner)
        if spec.uuid != claim.uuid:
            raise exception.DriverError(
                reason=f'the claim is for guest {claim.uuid}, '
                       f'not {spec.uuid}')
        if guest := self._guests.get(spec.uuid):
            claim.ensure_ours(guest.owner)
            raise exception.DriverError(
                reason=f'guest {spec.uuid} exists already')
        self._guests[spec.uuid] = driver.InstanceInfo(
            uuid=spec.uuid, power_state=states.SHUTDOWN, owner=self._owner,
            details={'name': spec.name, 'interfaces': []})
        self._change(spec.uuid, states.RUNNING)

    @_scripted
    def destroy(self, claim):
        claim.ensure_live()
        if guest := self._guests.get(claim.uuid):
            claim.ensure_ours(guest.owner)
            self._change(claim.uuid, states.SHUTDOWN)
            del self._guests[claim.uuid]

    @_scripted
    def power_on(self, claim):
        if self._ours(claim).power_state not in states.ON:
            self._change(claim.uuid, states.RUNNING)

    @_scripted
    def power_off(self, claim, timeout_s):
        if self._ours(claim).power_state in states.ON:
            self._change(claim.uuid, states.SHUTDOWN, 'was stopped')

    @_scripted
    def reboot(self, claim, hard, timeout_s):
        self._ours(claim)
        self._change(claim.uuid, states.SHUTDOWN, 'was stopped')
        self._change(claim.uuid, states.RUNNING)

    @_scripted
    def pause(self, claim):
        self._running(claim)
        self._change(claim.uuid, states.POWER_PAUSED)

    @_scripted
    def unpause(self, claim):
        self._running(claim)
        self._change(claim.uuid, states.RUNNING)

    @_scripted
    def console_log(self, uuid, max_bytes):
        self._existing(uuid)
        return f'console of {uuid}\n'[-max_bytes:] if max_bytes else ''

    @_scripted
    def subscribe(self, callback):
        self._callback = callback

    def _existing(self, uuid):
        if uuid not in self._guests:
            raise exception.GuestNotFound(uuid=uuid)
        return self._guests[uuid]

    def _ours(self, claim):
        claim.ensure_live()
        guest = self._existing(claim.uuid)
        claim.ensure_ours(guest.owner)
        return guest

    def _running(self, claim):
        if self._ours(claim).power_state not in states.ON:
            raise exception.DriverError(
                reason=f'guest {claim.uuid} does not run')

    def _change(self, uuid, power_state, reason=None, exit_code=None):
        guest = self._existing(uuid)
        if (guest.power_state in states.ON) != (power_state in states.ON):
            self._events.append(uuid)
            if power_state in states.ON:
                self._restart_counters(uuid)
        self._guests[uuid] = dataclasses.replace(
            guest, power_state=power_state, reason=reason,
            exit_code=exit_code)

    def _restart_counters(self, uuid):
        self._starts[uuid] += 1
        for key, counters in self._interfaces.items():
            if key[0] == uuid:
                self._interfaces[key] = dataclasses.replace(
                    counters, rx_bytes=0, tx_bytes=0)

    def _tell(self):
        """Deliver events without the lock: a callback may call back."""
        while self._events:
            uuid, callback = self._events.popleft(), self._callback
            if callback is None:
                continue
            try:
                callback(uuid)
            except Exception:
                LOG.exception('The callback failed for guest %s', uuid)
