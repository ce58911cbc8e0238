"""A driver whose guests exist on paper only: one file for each guest.

It implements all that a driver must do. Use it to fill a database with
instances that cost nothing.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import threading
from collections import abc

from oslo_config import cfg
from oslo_log import log as logging

from computed import exception
from computed import states
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt import host_figures
from computed_example import options

LOG = logging.getLogger(__name__)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options. computed calls it before it makes the driver."""
    conf.register_opts(options.PAPER, group='paper')


def as_text(info: driver.InstanceInfo) -> str:
    """Return the text of a guest's file."""
    return json.dumps(dataclasses.asdict(info))


def as_info(text: str) -> driver.InstanceInfo:
    """Return the guest that the text of a file describes.

    :raises ValueError, KeyError, TypeError: the text is damaged
    """
    fields = json.loads(text)
    return driver.InstanceInfo(
        **{**fields, 'owner': virt_claim.Owner(**fields['owner'])})


class PaperDriver(driver.ComputeDriver):
    """Keep each guest as a file in the folder ``paper`` of the state path."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self.folder = pathlib.Path(conf.state_path, 'paper')
        self._owner: virt_claim.Owner | None = None
        self._callback: driver.LifecycleCallback | None = None
        # Held for each change. Reads need no lock: a file is always whole.
        self._lock = threading.Lock()

    def init_host(self, owner: virt_claim.Owner) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise exception.DriverNotReady(reason=str(error)) from error
        self._owner = owner

    def close(self) -> None:
        self._callback = None

    def subscribe(self, callback: driver.LifecycleCallback | None) -> None:
        self._callback = callback

    def list_instances(self) -> driver.Snapshot:
        found, complete = {}, True
        try:
            # Not glob(): it finds nothing in a folder that is missing.
            for name in os.listdir(self.folder):
                uuid, suffix = os.path.splitext(name)
                # Another thread may destroy the guest meanwhile.
                with contextlib.suppress(exception.GuestNotFound):
                    if suffix == '.json':
                        found[uuid] = self.get_instance(uuid)
        except (OSError, exception.DriverError) as error:
            # Unknown is not absent: the caller must not take the missing
            # guests for absent ones.
            LOG.warning('Cannot read all guests: %s', error)
            complete = False
        return driver.Snapshot(complete=complete, instances=found)

    def get_instance(self, uuid: str) -> driver.InstanceInfo:
        try:
            return as_info(self._path(uuid).read_text())
        except FileNotFoundError:
            raise exception.GuestNotFound(uuid=uuid) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise exception.DriverError(
                reason=f'{self._path(uuid)}: {error}') from error

    def host_resources(self) -> driver.HostResources:
        figures = host_figures.measure(self.folder)
        return driver.HostResources(
            hypervisor_type='paper', hypervisor_version='1',
            **{**figures, 'vcpus': self.conf.paper.vcpus})

    def console_log(self, uuid: str, max_bytes: int) -> str:
        text = self.get_instance(uuid).details['command']
        return text[-max_bytes:] if max_bytes else ''

    # Each change checks the claim first: is it live, and is the guest ours?

    def spawn(self, claim: virt_claim.Claim,
              spec: driver.InstanceSpec) -> None:
        claim.ensure_live()
        claim.ensure_ours(self._owner)
        if claim.uuid != spec.uuid:
            raise exception.DriverError(
                reason=f'the claim is for guest {claim.uuid}, '
                       f'not {spec.uuid}')
        with self._lock:
            if self._path(spec.uuid).exists():
                claim.ensure_ours(self.get_instance(spec.uuid).owner)
                raise exception.DriverError(
                    reason=f'guest {spec.uuid} exists already')
            self._write(driver.InstanceInfo(
                uuid=spec.uuid, power_state=states.RUNNING, owner=self._owner,
                details={'name': spec.name, 'command': spec.command}))
        self._notify(spec.uuid)

    def destroy(self, claim: virt_claim.Claim) -> None:
        claim.ensure_live()
        with self._lock:
            try:
                guest = self.get_instance(claim.uuid)
            except exception.GuestNotFound:
                return
            claim.ensure_ours(guest.owner)
            self._path(claim.uuid).unlink()
        self._notify(claim.uuid)

    def power_on(self, claim: virt_claim.Claim) -> None:
        self._change(claim, lambda state: (
            state if state in states.ON else states.RUNNING))

    def power_off(self, claim: virt_claim.Claim, timeout_s: float) -> None:
        self._change(claim, lambda state: states.SHUTDOWN)

    def reboot(self, claim: virt_claim.Claim, hard: bool,
               timeout_s: float) -> None:
        self._change(claim, lambda state: states.RUNNING)

    def pause(self, claim: virt_claim.Claim) -> None:
        self._change(claim, lambda state: states.POWER_PAUSED,
                     must_be_on=True)

    def unpause(self, claim: virt_claim.Claim) -> None:
        self._change(claim, lambda state: states.RUNNING, must_be_on=True)

    def _change(self, claim: virt_claim.Claim,
                new_state: abc.Callable[[int], int],
                must_be_on: bool = False) -> None:
        """Replace the power state of the claim's guest."""
        claim.ensure_live()
        with self._lock:
            guest = self.get_instance(claim.uuid)
            claim.ensure_ours(guest.owner)
            if must_be_on and guest.power_state not in states.ON:
                raise exception.DriverError(
                    reason=f'guest {claim.uuid} does not run')
            self._write(dataclasses.replace(
                guest, power_state=new_state(guest.power_state)))
        self._notify(claim.uuid)

    def _path(self, uuid: str) -> pathlib.Path:
        return self.folder / f'{uuid}.json'

    def _write(self, info: driver.InstanceInfo) -> None:
        """Replace the file of a guest in one step."""
        path = self._path(info.uuid)
        new = path.with_suffix('.new')
        try:
            new.write_text(as_text(info))
            new.replace(path)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise exception.DriverError(reason=str(error)) from error

    def _notify(self, uuid: str) -> None:
        """Send a lifecycle event. Hold no lock: the callback may call us."""
        callback = self._callback
        try:
            if callback is not None:
                callback(uuid)
        except Exception:
            LOG.exception('The subscriber failed on the lifecycle event of '
                          'guest %s', uuid)
