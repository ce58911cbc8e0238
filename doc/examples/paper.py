"""A driver whose guests exist on paper only: one file for each guest."""

import dataclasses
import pathlib
import threading
from collections import abc

from oslo_config import cfg
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
    """Keep each guest as a JSON file below the state path."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._folder = pathlib.Path(conf.state_path) / 'paper'
        self._lock = threading.RLock()
        self._owner: virt_claim.Owner | None = None
        self._callback: driver.LifecycleCallback | None = None

    def init_host(self, owner: virt_claim.Owner) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise exception.DriverNotReady(
                reason=f'{self._folder}: {error.strerror}') from error
        self._owner = owner

    def close(self) -> None:
        self._callback = None
    # end start

    # begin look
    def list_instances(self) -> driver.Snapshot:
        found, complete = {}, True
        with self._lock:
            try:
                # Not glob(): it finds nothing in a folder that is missing.
                names = [path.stem for path in self._folder.iterdir()
                         if path.suffix == '.json']
            except OSError as error:
                LOG.warning('Cannot list the guests: %s', error)
                names, complete = [], False
            for uuid in names:
                try:
                    found[uuid] = self.get_instance(uuid)
                except exception.DriverError as error:
                    LOG.warning('Guest %s is left out: %s', uuid, error)
                    complete = False
        return driver.Snapshot(complete, found)

    def get_instance(self, uuid: str) -> driver.InstanceInfo:
        guest = self._read(uuid)
        return driver.InstanceInfo(
            uuid=uuid, power_state=guest['power_state'],
            owner=virt_claim.Owner(**guest['owner']))

    def console_log(self, uuid: str, max_bytes: int) -> str:
        return self._read(uuid)['printed'][-max_bytes:] if max_bytes else ''

    def _path(self, uuid: str) -> pathlib.Path:
        return self._folder / f'{uuid}.json'

    def _read(self, uuid: str) -> dict:
        try:
            guest = files.read_json(self._path(uuid))
        except (files.Damaged, OSError) as error:
            # The guest exists but its file is damaged: unknown, not absent.
            raise exception.DriverError(
                reason=files.explained(error)) from error
        if guest is None:
            raise exception.GuestNotFound(uuid=uuid)
        return guest
    # end look

    def host_resources(self) -> driver.HostResources:
        return driver.HostResources(
            hypervisor_type='paper', hypervisor_version='1',
            **host_figures.measure(self._folder))

    # begin change
    def spawn(self, claim: virt_claim.Claim,
              spec: driver.InstanceSpec) -> None:
        claim.ensure_live()
        claim.ensure_ours(self._owner)
        if spec.uuid != claim.uuid:
            raise exception.DriverError(
                reason=f'the claim is for guest {claim.uuid}, '
                       f'not {spec.uuid}')
        with self._lock:
            if self._path(spec.uuid).exists():
                claim.ensure_ours(self.get_instance(spec.uuid).owner)
                raise exception.DriverError(
                    reason=f'guest {spec.uuid} exists already')
            self._write(spec.uuid, states.RUNNING, {
                'owner': dataclasses.asdict(claim.owner), 'printed': ''})
        self._notify(spec.uuid)

    def destroy(self, claim: virt_claim.Claim) -> None:
        claim.ensure_live()
        with self._lock:
            if self._path(claim.uuid).exists():
                claim.ensure_ours(self.get_instance(claim.uuid).owner)
                files.remove(self._path(claim.uuid))
        self._notify(claim.uuid)

    def power_on(self, claim: virt_claim.Claim) -> None:
        self._switch(claim, states.RUNNING, only_from=states.OFF)

    def power_off(self, claim: virt_claim.Claim, timeout_s: float) -> None:
        self._switch(claim, states.SHUTDOWN)

    def reboot(self, claim: virt_claim.Claim, hard: bool,
               timeout_s: float) -> None:
        self._switch(claim, states.SHUTDOWN)
        self._switch(claim, states.RUNNING)

    def pause(self, claim: virt_claim.Claim) -> None:
        self._ensure_on(claim)
        self._switch(claim, states.POWER_PAUSED)

    def unpause(self, claim: virt_claim.Claim) -> None:
        self._ensure_on(claim)
        self._switch(claim, states.RUNNING)

    def _ours(self, claim: virt_claim.Claim) -> driver.InstanceInfo:
        """Return the guest of ``claim``, if the claim allows to change it."""
        claim.ensure_live()
        info = self.get_instance(claim.uuid)
        claim.ensure_ours(info.owner)
        return info
    # end change

    def _ensure_on(self, claim: virt_claim.Claim) -> None:
        if self._ours(claim).power_state not in states.ON:
            raise exception.DriverError(
                reason=f'guest {claim.uuid} does not run')

    def _switch(self, claim: virt_claim.Claim, power_state: int,
                only_from: abc.Collection[int] = ()) -> None:
        with self._lock:
            now = self._ours(claim).power_state
            if now == power_state or (only_from and now not in only_from):
                return
            self._write(claim.uuid, power_state, self._read(claim.uuid))
        self._notify(claim.uuid)

    def _write(self, uuid: str, power_state: int, guest: dict) -> None:
        guest['power_state'] = power_state
        guest['printed'] += f'{states.power_name(power_state)}\n'
        try:
            files.write_json(self._path(uuid), guest)
        except OSError as error:
            raise exception.DriverError(
                reason=f'{self._path(uuid)}: {error.strerror}') from error

    # begin events
    def subscribe(self, callback: driver.LifecycleCallback | None) -> None:
        self._callback = callback

    def _notify(self, uuid: str) -> None:
        """Send a lifecycle event. Hold no lock: the callback may call us."""
        callback = self._callback
        if callback is None:
            return
        try:
            callback(uuid)
        except Exception:
            LOG.exception('The subscriber failed on the lifecycle event of '
                          'guest %s', uuid)
    # end events
