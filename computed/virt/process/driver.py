"""The driver itself: folders, shims and trees put together."""

import contextlib
import os
import platform
import threading

from oslo_log import log as logging

from computed import exception
from computed import states
from computed.virt import driver
from computed.virt import host_figures
from computed.virt.process import counters
from computed.virt.process import folder
from computed.virt.process import launch
from computed.virt.process import network
from computed.virt.process import proc
from computed.virt.process import state
from computed.virt.process import tree
from computed.virt.process import watcher

LOG = logging.getLogger(__name__)


class ProcessDriver(driver.ComputeDriver):
    """Runs each instance as a tree of processes of this host.

    Different guests may be worked on at the same time; for one guest the
    caller sees to it that changes come one after the other.
    """

    capabilities = frozenset(['interface_counters'])
    cooperative = True

    def __init__(self, conf):
        super().__init__(conf)
        self._root = os.path.join(os.path.abspath(conf.state_path),
                                  'instances')
        self._owner = None
        self._watcher = watcher.Watcher()
        # Addresses are chosen by looking at those that are taken.
        self._choosing = threading.Lock()

    def init_host(self, owner):
        try:
            os.makedirs(self._root, mode=0o700, exist_ok=True)
            if not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(13, os.strerror(13), self._root)
            os.close(os.pidfd_open(os.getpid()))
            folder.clear_leftovers(self._root)
        except OSError as error:
            raise exception.DriverNotReady(
                reason=f'{error.strerror} '
                       f'({error.filename or "pidfd_open"})') from error
        self._owner = owner

    def close(self):
        self._watcher.close()

    def list_instances(self):
        try:
            uuids = folder.uuids(self._root)
        except OSError as error:
            LOG.warning('Cannot list the instances: %s', error)
            return driver.Snapshot(complete=False, instances={})
        boot_id = proc.boot_id()
        found = (self._info(folder.Folder(self._root, uuid), boot_id)
                 for uuid in uuids)
        return driver.Snapshot(complete=True, instances={
            info.uuid: info for info in found if info is not None})

    def get_instance(self, uuid):
        guest = self._existing(uuid)
        info = self._info(guest, proc.boot_id())
        if info is None:
            raise exception.GuestNotFound(uuid=uuid)
        return info

    def host_resources(self):
        with folder.plain_errors():
            figures = host_figures.measure(self._root)
        return driver.HostResources(
            hypervisor_type='process',
            hypervisor_version=platform.release(), **figures)

    def interface_counters(self, uuids=None):
        boot_id, found = proc.boot_id(), []
        with folder.plain_errors():
            wanted = folder.uuids(self._root) if uuids is None else uuids
        for uuid in wanted:
            guest = folder.Folder(self._root, uuid)
            with contextlib.suppress(exception.DriverError):
                interface, run = guest.record().interface, guest.run()
                if interface and run:
                    found.append(counters.read(uuid, interface, run, boot_id))
        return [one for one in found if one is not None]

    def spawn(self, claim, spec):
        claim.ensure_live()
        if self._owner is None:
            raise exception.DriverNotReady(reason='it was not started')
        claim.ensure_ours(self._owner)
        if spec.uuid != claim.uuid:
            raise exception.DriverError(
                reason=f'the claim is for guest {claim.uuid}, '
                       f'not {spec.uuid}')
        if spec.network not in ('host', 'private'):
            raise exception.DriverError(
                reason=f'network {spec.network} is neither host nor private')
        guest = folder.Folder(self._root, spec.uuid)
        if guest.exists():
            self._clear_unstarted(claim, guest)
        self._create(guest, spec)
        try:
            self._start(guest)
        except BaseException:
            self._remove_failed(guest)
            raise

    def destroy(self, claim):
        claim.ensure_live()
        guest = folder.Folder(self._root, claim.uuid)
        if guest.exists():
            claim.ensure_ours(guest.owner())
            self._end(guest, 0)
        with folder.plain_errors():
            guest.remove()

    def power_on(self, claim):
        guest = self._ours(claim)
        found = self._judge(guest, proc.boot_id())
        if found.power_state not in states.ON:
            # What a shim killed by somebody has left behind would go on
            # beside the new run.
            tree.Tree(guest, guest.run()).kill()
            self._start(guest)

    def power_off(self, claim, timeout_s):
        self._end(self._ours(claim), timeout_s)

    def reboot(self, claim, hard, timeout_s):
        guest = self._ours(claim)
        self._end(guest, 0 if hard else timeout_s)
        self._start(guest)

    def pause(self, claim):
        self._running_tree(claim).stop()

    def unpause(self, claim):
        self._running_tree(claim).resume()

    def console_log(self, uuid, max_bytes):
        guest = self._existing(uuid)
        with folder.plain_errors():
            return guest.console(max_bytes).decode(errors='replace')

    def subscribe(self, callback):
        if callback is None:
            self._watcher.close()
            return
        self._watcher.subscribe(callback)
        self.list_instances()   # watches each that runs

    def _existing(self, uuid):
        guest = folder.Folder(self._root, uuid)
        if not guest.exists():
            raise exception.GuestNotFound(uuid=uuid)
        return guest

    def _ours(self, claim):
        """The guest of a claim, if it may be changed."""
        claim.ensure_live()
        guest = self._existing(claim.uuid)
        claim.ensure_ours(guest.owner())
        return guest

    def _running_tree(self, claim):
        guest = self._ours(claim)
        if self._judge(guest, proc.boot_id()).power_state not in states.ON:
            raise exception.DriverError(
                reason=f'guest {guest.uuid} does not run')
        return tree.Tree(guest, guest.run())

    def _judge(self, guest, boot_id):
        run = guest.run()
        stat = run and proc.stat(run.main.pid)
        found = state.judge(run, boot_id, stat, guest.ending(),
                            guest.stopping())
        if found.power_state in states.ON:
            self._watcher.watch(guest.uuid, run.main)
        return found

    def _info(self, guest, boot_id):
        """The guest as it is now; None if it has just been removed.

        Damage in one folder says nothing about the others: such a guest is
        there, in no known state.
        """
        owner, details = None, {}
        try:
            record = guest.record()
            owner = record.owner
            details = _details(record)
            found = self._judge(guest, boot_id)
            if found.power_state in states.ON:
                run = guest.run()
                details.update(pid=run.main.pid, started_at=run.started_at)
        except exception.DriverError as error:
            if not guest.exists():
                return None
            found = state.Judgement(states.NOSTATE, error.kwargs['reason'])
        return driver.InstanceInfo(
            uuid=guest.uuid, power_state=found.power_state,
            reason=found.reason, exit_code=found.exit_code, owner=owner,
            details=details)

    def _create(self, guest, spec):
        with self._choosing, folder.plain_errors():
            interface = None
            if spec.network == 'private' and network.available():
                interface = network.plan(guest.uuid, self._taken())
            guest.create(folder.Record(spec=spec, owner=self._owner,
                                       interface=interface))

    def _taken(self):
        taken = network.host_networks()
        for uuid in folder.uuids(self._root):
            with contextlib.suppress(exception.DriverError):
                record = folder.Folder(self._root, uuid).record()
                if record.interface:
                    taken.append(record.interface.network)
        return taken

    def _clear_unstarted(self, claim, guest):
        """Remove what a spawn has left whose daemon died before the start.

        :raises computed.exception.DriverError: it is a whole guest
        """
        claim.ensure_ours(guest.owner())
        if guest.run() is not None:
            raise exception.DriverError(
                reason=f'guest {guest.uuid} exists already')
        self._end(guest, 0)
        with folder.plain_errors():
            guest.remove()

    def _start(self, guest):
        record = guest.record()
        with folder.plain_errors():
            if record.interface:
                network.prepare(record.interface)
            launch.start(guest, record)
        self._watcher.watch(guest.uuid, guest.run().main)
        self._watcher.hint(guest.uuid)

    def _remove_failed(self, guest):
        """Leave nothing of a guest that did not start, if we can."""
        try:
            self._end(guest, 0)
            guest.remove()
        except (exception.DriverError, OSError) as error:
            LOG.warning('Guest %s did not start, and something of it is '
                        'left: %s', guest.uuid, error)

    def _end(self, guest, timeout_s):
        """End all processes of a guest; none is success."""
        run, known = None, True
        try:
            run = guest.run()
        except exception.DriverError:
            known = False       # its processes carry marks, too
        processes = tree.Tree(guest, run)
        self._note_stopping(guest, processes.run)
        try:
            if timeout_s > 0:
                processes.terminate(timeout_s)
            processes.kill()
        except exception.DriverTimeout:
            if processes.run and proc.alive(processes.run.main):
                guest.forget_stopping()     # a later end is its own
            raise
        if not known:
            guest.forget_run()
        interface = guest.record().interface
        if interface:
            network.remove(interface)

    def _note_stopping(self, guest, run):
        """Have the end that comes now not taken for a crash."""
        if run is None or not proc.alive(run.main):
            return
        try:
            guest.write_stopping()
        except OSError as error:
            # It is to end all the same.
            LOG.warning('Guest %s is stopped but may be shown as crashed: '
                        '%s', guest.uuid, error)


def _details(record):
    interface = record.interface
    return {'name': record.spec.name, 'interfaces': [] if interface is None
            else [{'device': interface.device, 'mac': interface.mac,
                   'address': interface.address}]}
