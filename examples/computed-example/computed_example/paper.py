"""A driver whose guests exist on paper only: one file for each.

It shows all that a driver must do, and nothing else; and it fills a database
with instances that cost nothing.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import threading

from oslo_log import log as logging

from computed import exception
from computed import states
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt import host_figures
from computed_example import options

LOG = logging.getLogger(__name__)



def register_opts(conf):
    """Called by computed before it makes the driver of this module."""
    conf.register_opts(options.PAPER, group='paper')


def as_text(info):
    """What the file of a guest says."""
    return json.dumps(dataclasses.asdict(info))


def as_info(text):
    """The guest that a file tells of."""
    fields = json.loads(text)
    return driver.InstanceInfo(
        **{**fields, 'owner': virt_claim.Owner(**fields['owner'])})


class PaperDriver(driver.ComputeDriver):
    """Guests are files in the folder ``paper`` under the state path."""

    def __init__(self, conf):
        super().__init__(conf)
        self.folder = pathlib.Path(conf.state_path, 'paper')
        self._owner = None
        self._callback = None
        # One change at a time; what is read is always a whole file.
        self._lock = threading.Lock()

    def init_host(self, owner):
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise exception.DriverNotReady(reason=str(error)) from error
        self._owner = owner

    def close(self):
        self._callback = None

    def subscribe(self, callback):
        self._callback = callback

    def list_instances(self):
        found, complete = {}, True
        try:
            # Not glob(): to it a folder that cannot be read is empty.
            for name in os.listdir(self.folder):
                uuid, suffix = os.path.splitext(name)
                # It may be destroyed while we look.
                with contextlib.suppress(exception.GuestNotFound):
                    if suffix == '.json':
                        found[uuid] = self.get_instance(uuid)
        except (OSError, exception.DriverError) as error:
            # Unknown is not absent: nobody may conclude that from this list.
            LOG.warning('Cannot read all guests: %s', error)
            complete = False
        return driver.Snapshot(complete=complete, instances=found)

    def get_instance(self, uuid):
        try:
            return as_info(self._path(uuid).read_text())
        except FileNotFoundError:
            raise exception.GuestNotFound(uuid=uuid) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise exception.DriverError(
                reason=f'{self._path(uuid)}: {error}') from error

    def host_resources(self):
        figures = host_figures.measure(self.folder)
        return driver.HostResources(
            hypervisor_type='paper', hypervisor_version='1',
            **{**figures, 'vcpus': self.conf.paper.vcpus})

    def console_log(self, uuid, max_bytes):
        text = self.get_instance(uuid).details['command']
        return text[-max_bytes:] if max_bytes else ''

    # What changes a guest begins with the claim: is it live, and ours?

    def spawn(self, claim, spec):
        claim.ensure_live()
        claim.ensure_ours(self._owner)
        if claim.uuid != spec.uuid:
            raise exception.DriverError(
                reason=f'the claim is for guest {claim.uuid}, '
                       f'not {spec.uuid}')
        with self._lock:
            if self._path(spec.uuid).exists():
                raise exception.DriverError(
                    reason=f'guest {spec.uuid} exists already')
            self._write(driver.InstanceInfo(
                uuid=spec.uuid, power_state=states.RUNNING, owner=self._owner,
                details={'name': spec.name, 'command': spec.command}))
        self._tell(spec.uuid)

    def destroy(self, claim):
        claim.ensure_live()
        with self._lock:
            try:
                guest = self.get_instance(claim.uuid)
            except exception.GuestNotFound:
                return
            claim.ensure_ours(guest.owner)
            self._path(claim.uuid).unlink()
        self._tell(claim.uuid)

    def power_on(self, claim):
        self._change(claim, lambda state: (
            state if state in states.ON else states.RUNNING))

    def power_off(self, claim, timeout_s):
        self._change(claim, lambda state: states.SHUTDOWN)

    def reboot(self, claim, hard, timeout_s):
        self._change(claim, lambda state: states.RUNNING)

    def pause(self, claim):
        self._change(claim, lambda state: states.POWER_PAUSED,
                     must_be_on=True)

    def unpause(self, claim):
        self._change(claim, lambda state: states.RUNNING, must_be_on=True)

    def _change(self, claim, new_state, must_be_on=False):
        claim.ensure_live()
        with self._lock:
            guest = self.get_instance(claim.uuid)
            claim.ensure_ours(guest.owner)
            if must_be_on and guest.power_state not in states.ON:
                raise exception.DriverError(
                    reason=f'guest {claim.uuid} does not run')
            self._write(dataclasses.replace(
                guest, power_state=new_state(guest.power_state)))
        self._tell(claim.uuid)

    def _path(self, uuid):
        return self.folder / f'{uuid}.json'

    def _write(self, info):
        """Replace the file of a guest: whole or not at all."""
        path = self._path(info.uuid)
        new = path.with_suffix('.new')
        try:
            new.write_text(as_text(info))
            new.replace(path)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise exception.DriverError(reason=str(error)) from error

    def _tell(self, uuid):
        """A hint; without the lock, for who is told may ask back."""
        callback = self._callback
        try:
            if callback is not None:
                callback(uuid)
        except Exception:
            LOG.exception('The callback failed for guest %s', uuid)
