"""The driver: it combines folders, shims and process trees."""

import contextlib
import os
import platform
import typing
from collections import abc

from oslo_config import cfg
from oslo_log import log as logging

from computed import exception
from computed import files
from computed import states
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt import host_figures
from computed.virt.process import adoption
from computed.virt.process import console
from computed.virt.process import counters
from computed.virt.process import ending
from computed.virt.process import folder
from computed.virt.process import listing
from computed.virt.process import making
from computed.virt.process import proc
from computed.virt.process import reaper
from computed.virt.process import state
from computed.virt.process import tree
from computed.virt.process import volumes
from computed.virt.process import watcher

LOG = logging.getLogger(__name__)


class ProcessDriver(driver.ComputeDriver):
    """Run each guest as a tree of processes of this host."""

    capabilities = frozenset(['interface_counters'])
    cooperative = True

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._root = files.below(os.path.abspath(conf.state_path),
                                 'instances')
        self._owner: virt_claim.Owner | None = None
        self._reaper = reaper.Reaper()
        self._watcher = watcher.Watcher(self._reaper.reap)
        # Guests that ran when they were listed last.
        self._listed_on: set[str] = set()
        self._maker = making.Maker(self._root, conf)

    def init_host(self, owner: virt_claim.Owner) -> None:
        try:
            files.make_private(self._root)
            if not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(13, os.strerror(13), self._root)
            os.close(os.pidfd_open(os.getpid()))
            listing.clear_leftovers(self._root)
            adoption.adopt(self._root)
        except OSError as error:
            raise exception.DriverNotReady(
                reason=f'{error.strerror} '
                       f'({error.filename or "pidfd_open"})') from error
        self._maker.prepare()
        self.capabilities |= self._maker.capabilities
        self._owner = owner

    def shortcomings(self) -> list[str]:
        return making.shortcomings(self.conf)

    def close(self) -> None:
        self._watcher.close()

    def list_instances(self) -> driver.Snapshot:
        self._reaper.reap()
        try:
            found = self._infos(listing.uuids(self._root))
            if lost := self._perhaps_lost(found):
                found.update(self._infos(adoption.adopt(self._root, lost)))
        except OSError as error:
            LOG.warning('Cannot list the guests: %s', error)
            return driver.Snapshot(complete=False, instances={})
        self._listed_on = {uuid for uuid, info in found.items()
                           if info.power_state in states.ON}
        return driver.Snapshot(complete=True, instances=found)

    def _infos(self, uuids: abc.Iterable[str]
               ) -> dict[str, driver.InstanceInfo]:
        boot_id = proc.boot_id()
        found = (self._info(folder.Folder(self._root, uuid), boot_id)
                 for uuid in uuids)
        return {info.uuid: info for info in found if info is not None}

    def _perhaps_lost(
            self, found: dict[str, driver.InstanceInfo]) -> set[str]:
        """Return the guests that may run although their files are missing.

        A search costs a look at all processes of the host, so a list takes
        it only if a file is missing that was there or should be.
        """
        return (self._listed_on - found.keys()) | {
            uuid for uuid, info in found.items()
            if info.reason == state.NEVER_STARTED}

    def get_instance(self, uuid: str) -> driver.InstanceInfo:
        guest = self._found(uuid)
        info = self._info(guest, proc.boot_id())
        if info is None:
            raise exception.GuestNotFound(uuid=uuid)
        return info

    def host_resources(self) -> driver.HostResources:
        with folder.plain_errors():
            figures = host_figures.measure(self._root)
        return driver.HostResources(
            hypervisor_type='process',
            hypervisor_version=platform.release(), **figures)

    def interface_counters(
            self, uuids: abc.Collection[str] | None = None
            ) -> list[driver.InterfaceCounters]:
        boot_id, found = proc.boot_id(), []
        with folder.plain_errors():
            wanted = listing.uuids(self._root) if uuids is None else uuids
        for uuid in wanted:
            with contextlib.suppress(exception.DriverError):
                guest = folder.Folder(self._root, uuid)
                interface, run = guest.record().interface, guest.run()
                if interface and run:
                    found.append(counters.read(uuid, interface, run, boot_id))
        return [one for one in found if one is not None]

    def block_counters(
            self, uuids: abc.Collection[str] | None = None
            ) -> list[driver.BlockCounters]:
        if 'block_counters' not in self.capabilities:
            # The kernel of this host does not count them.
            return super().block_counters(uuids)
        found: list[driver.BlockCounters] = []
        with folder.plain_errors():
            wanted = listing.uuids(self._root) if uuids is None else uuids
        for uuid in wanted:
            with contextlib.suppress(exception.DriverError), \
                    folder.plain_errors():
                guest = folder.Folder(self._root, uuid)
                if self._running(guest):
                    found += self._maker.block_counters(guest)
        return found

    def list_volumes(self, uuid: str) -> list[driver.Volume]:
        return [driver.Volume(one.volume_id, one.attachment_id, one.path)
                for one in volumes.of_guest(folder.Folder(self._root, uuid))]

    def attach_volume(self, claim: virt_claim.Claim,
                      volume: driver.Volume) -> None:
        guest = self._ours(claim)
        run = self._running(guest)
        self._maker.attach(guest, volume, run.main if run else None)

    def detach_volume(self, claim: virt_claim.Claim, volume_id: str) -> None:
        guest = self._ours(claim)
        run = self._running(guest)
        volumes.detach(guest, volume_id, run.main if run else None)

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
        if spec.network not in ('host', 'private'):
            raise exception.DriverError(
                reason=f'network {spec.network} is neither host nor private')
        guest = folder.Folder(self._root, spec.uuid)
        self._adopt_if_lost(guest)
        if guest.exists():
            self._maker.clear_unstarted(claim, guest)
        self._maker.create(guest, spec, self._owner)
        try:
            self._start(guest)
        except BaseException:
            self._maker.remove_failed(guest)
            raise

    def destroy(self, claim: virt_claim.Claim) -> None:
        claim.ensure_live()
        guest = folder.Folder(self._root, claim.uuid)
        self._adopt_if_lost(guest)
        if guest.exists():
            claim.ensure_ours(guest.owner())
            ending.end(guest, 0)
        else:
            # Of a guest without files and shim only the markers are left.
            tree.Tree(guest, None).kill()
        try:
            self._maker.remove(guest)
        except exception.DriverError as error:
            if guest.exists():
                raise
            raise exception.FilesLeft(
                uuid=guest.uuid, reason=error.kwargs['reason']) from error

    def list_instance_files(self) -> dict[str, float]:
        with folder.plain_errors():
            return listing.leftovers(self._root)

    def power_on(self, claim: virt_claim.Claim) -> None:
        guest = self._ours(claim)
        if not self._running(guest):
            # If the shim was killed, processes of the last run may be left.
            tree.Tree(guest, guest.run()).kill()
            self._start(guest)

    def power_off(self, claim: virt_claim.Claim, timeout_s: float) -> None:
        ending.end(self._ours(claim), timeout_s)

    def reboot(self, claim: virt_claim.Claim, hard: bool,
               timeout_s: float) -> None:
        guest = self._ours(claim)
        ending.end(guest, 0 if hard else timeout_s,
                   lambda: claim.interruption.reason)
        self._start(guest)

    def pause(self, claim: virt_claim.Claim) -> None:
        self._running_tree(claim).stop()

    def unpause(self, claim: virt_claim.Claim) -> None:
        self._running_tree(claim).resume()

    def console_log(self, uuid: str, max_bytes: int) -> str:
        guest = self._existing(uuid)
        with folder.plain_errors():
            return console.tail(guest, max_bytes)

    def subscribe(self, callback: driver.LifecycleCallback | None) -> None:
        if callback is None:
            self._watcher.close()
            return
        self._watcher.subscribe(callback)
        self.list_instances()   # begins to watch each guest that runs

    def _adopt_if_lost(self, guest: folder.Folder) -> None:
        """Search for a guest that does not run, as far as its files tell."""
        with contextlib.suppress(exception.DriverError):
            if guest.has('spec.json') and self._running(guest):
                return
        adoption.adopt(self._root, {guest.uuid})

    def _found(self, uuid: str) -> folder.Folder:
        """Return a guest, with files if it runs."""
        self._adopt_if_lost(folder.Folder(self._root, uuid))
        return self._existing(uuid)

    def _existing(self, uuid: str) -> folder.Folder:
        guest = folder.Folder(self._root, uuid)
        if not guest.exists():
            raise exception.GuestNotFound(uuid=uuid)
        return guest

    def _ours(self, claim: virt_claim.Claim) -> folder.Folder:
        """Return the guest of a claim, if the claim allows to change it."""
        claim.ensure_live()
        guest = self._found(claim.uuid)
        claim.ensure_ours(guest.owner())
        return guest

    def _running(self, guest: folder.Folder) -> state.Run | None:
        """Return the run of a guest; None if the guest is off."""
        found, run = self._judge(guest, proc.boot_id())
        return run if found.power_state in states.ON else None

    def _running_tree(self, claim: virt_claim.Claim) -> tree.Tree:
        guest = self._ours(claim)
        run = self._running(guest)
        if run is None:
            raise exception.DriverError(
                reason=f'guest {guest.uuid} does not run')
        return tree.Tree(guest, run)

    def _judge(self, guest: folder.Folder, boot_id: str
               ) -> tuple[state.Judgement, state.Run | None]:
        """Return the state of a guest and its last run."""
        run = guest.run()
        stat = proc.stat(run.main.pid) if run else None
        found = state.judge(run, boot_id, stat, guest.ending(),
                            guest.stopping())
        if run and found.power_state in states.ON:
            self._watcher.watch(guest.uuid, run.main)
        return found, run

    def _info(self, guest: folder.Folder,
              boot_id: str) -> driver.InstanceInfo | None:
        """Return the guest as it is now; None if it was just removed.

        A damaged folder must not hide the other guests: its guest exists, in
        the power state NOSTATE.
        """
        owner: virt_claim.Owner | None = None
        details: dict[str, typing.Any] = {}
        try:
            record = guest.record()
            owner = record.owner
            details = _details(record)
            found, run = self._judge(guest, boot_id)
            if run and found.power_state in states.ON:
                details.update(pid=run.main.pid, started_at=run.started_at)
        except exception.DriverError as error:
            if not guest.exists():
                return None
            found = state.Judgement(states.NOSTATE, error.kwargs['reason'])
        return driver.InstanceInfo(
            uuid=guest.uuid, power_state=found.power_state,
            reason=found.reason, exit_code=found.exit_code, owner=owner,
            details=details)

    def _start(self, guest: folder.Folder) -> None:
        self._maker.start(guest)
        if run := guest.run():
            self._watcher.watch(guest.uuid, run.main)
        self._watcher.report(guest.uuid)


def _details(record: folder.Record) -> dict[str, typing.Any]:
    interface = record.interface
    return {'name': record.spec.name, 'interfaces': [] if interface is None
            else [{'device': interface.device, 'mac': interface.mac,
                   'address': interface.address}]}
