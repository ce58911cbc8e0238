"""A driver: guests that exist on paper, a file for each."""

import dataclasses
import pathlib
import threading

from oslo_log import log as logging

from computed import exception
from computed import files
from computed import states
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt import host_figures

LOG = logging.getLogger(__name__)


# begin start
class PaperDriver(driver.ComputeDriver):
    """Keeps what would be a guest as JSON below the state path."""

    def __init__(self, conf):
        super().__init__(conf)
        self._folder = pathlib.Path(conf.state_path) / 'paper'
        self._lock = threading.RLock()
        self._owner = None
        self._callback = None

    def init_host(self, owner):
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise exception.DriverNotReady(
                reason=f'{self._folder}: {error.strerror}') from error
        self._owner = owner

    def close(self):
        self._callback = None
    # end start

    # begin look
    def list_instances(self):
        found, complete = {}, True
        with self._lock:
            for path in self._folder.glob('*.json'):
                try:
                    found[path.stem] = self.get_instance(path.stem)
                except exception.DriverError as error:
                    LOG.warning('%s', error)
                    complete = False
        return driver.Snapshot(complete, found)

    def get_instance(self, uuid):
        guest = self._read(uuid)
        return driver.InstanceInfo(
            uuid=uuid, power_state=guest['power_state'],
            owner=virt_claim.Owner(**guest['owner']))

    def console_log(self, uuid, max_bytes):
        return self._read(uuid)['printed'][-max_bytes:] if max_bytes else ''

    def _path(self, uuid):
        return self._folder / f'{uuid}.json'

    def _read(self, uuid):
        if not self._path(uuid).exists():
            raise exception.GuestNotFound(uuid=uuid)
        guest = files.read_json(self._path(uuid))
        if guest is None:
            # There, but torn: unknown is not absent.
            raise exception.DriverError(
                reason=f'{self._path(uuid)} cannot be read')
        return guest
    # end look

    def host_resources(self):
        return driver.HostResources(
            hypervisor_type='paper', hypervisor_version='1',
            **host_figures.measure(self._folder))

    # begin change
    def spawn(self, claim, spec):
        claim.ensure_live()
        claim.ensure_ours(self._owner)
        if spec.uuid != claim.uuid:
            raise exception.DriverError(
                reason=f'the claim is for guest {claim.uuid}')
        with self._lock:
            if self._path(spec.uuid).exists():
                claim.ensure_ours(self.get_instance(spec.uuid).owner)
                raise exception.DriverError(
                    reason=f'guest {spec.uuid} exists already')
            self._write(spec.uuid, states.RUNNING, {
                'owner': dataclasses.asdict(self._owner), 'printed': ''})

    def destroy(self, claim):
        claim.ensure_live()
        with self._lock:
            if self._path(claim.uuid).exists():
                claim.ensure_ours(self.get_instance(claim.uuid).owner)
                files.remove(self._path(claim.uuid))
        self._tell(claim.uuid)

    def power_on(self, claim):
        self._switch(claim, states.RUNNING, only_from=(
            states.SHUTDOWN, states.CRASHED))

    def power_off(self, claim, timeout_s):
        self._switch(claim, states.SHUTDOWN)

    def reboot(self, claim, hard, timeout_s):
        self._switch(claim, states.SHUTDOWN)
        self._switch(claim, states.RUNNING)

    def pause(self, claim):
        self._ensure_on(claim)
        self._switch(claim, states.POWER_PAUSED)

    def unpause(self, claim):
        self._ensure_on(claim)
        self._switch(claim, states.RUNNING)

    def _ours(self, claim):
        """The guest of ``claim``, which may be changed under it."""
        claim.ensure_live()
        info = self.get_instance(claim.uuid)
        claim.ensure_ours(info.owner)
        return info
    # end change

    def _ensure_on(self, claim):
        if self._ours(claim).power_state not in states.ON:
            raise exception.DriverError(
                reason=f'guest {claim.uuid} does not run')

    def _switch(self, claim, power_state, only_from=None):
        with self._lock:
            now = self._ours(claim).power_state
            if now == power_state or (only_from and now not in only_from):
                return
            self._write(claim.uuid, power_state, self._read(claim.uuid))

    def _write(self, uuid, power_state, guest):
        guest['power_state'] = power_state
        guest['printed'] += f'{states.power_name(power_state)}\n'
        try:
            files.write_json(self._path(uuid), guest)
        except OSError as error:
            raise exception.DriverError(
                reason=f'{self._path(uuid)}: {error.strerror}') from error
        self._tell(uuid)

    # begin events
    def subscribe(self, callback):
        self._callback = callback

    def _tell(self, uuid):
        callback = self._callback
        if callback is None:
            return
        try:
            callback(uuid)
        except Exception:       # whatever the subscriber is
            LOG.exception('The subscriber failed for guest %s', uuid)
    # end events
