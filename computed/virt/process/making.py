"""Make guests and start them."""

import contextlib
import ipaddress
import threading

from oslo_config import cfg
from oslo_log import log as logging

from computed import exception
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt.process import block_io
from computed.virt.process import cgroups
from computed.virt.process import ending
from computed.virt.process import folder
from computed.virt.process import isolation
from computed.virt.process import launch
from computed.virt.process import listing
from computed.virt.process import network
from computed.virt.process import proc
from computed.virt.process import volumes

LOG = logging.getLogger(__name__)


class Maker:
    """Make guests below one folder, each with what is its own."""

    def __init__(self, root: str, conf: cfg.ConfigOpts) -> None:
        """:param root: the folder of the guests' folders"""
        self._root = root
        self._conf = conf
        self._settings: launch.Settings | None = None
        # Held from the choice of what is a guest's own until it is recorded.
        self._choosing = threading.Lock()

    def prepare(self) -> None:
        """Find out what guests get on this host, and log it.

        :raises computed.exception.DriverNotReady: that is not possible
        """
        found = isolation.measure(self._conf)
        (LOG.warning if found.missing else LOG.info)('%s', found.describe())
        self._settings = launch.Settings(
            isolation=found,
            console_bytes=self._conf.virt.console_log_max_mb << 20,
            hidden=tuple(isolation.hidden_paths(self._conf)),
            processes_per_vcpu=self._conf.process.guest_processes_per_vcpu,
            require_limits=self._conf.process.require_limits)

    def create(self, guest: folder.Folder, spec: driver.InstanceSpec,
               owner: virt_claim.Owner) -> None:
        """Make the folder of a guest.

        :raises computed.exception.DriverError: it cannot be made
        """
        settings = self._ready()
        launch.check(spec, settings)
        with self._choosing, folder.plain_errors():
            interface = uid = None
            if spec.network == 'private' and network.available():
                interface = network.plan(guest.uuid, self._networks())
            if (uids := settings.isolation.uids) is not None:
                uid = isolation.choose_uid(
                    uids, guest.uuid,
                    isolation.running_uids() | listing.users(self._root))
            guest.create(folder.Record(spec=spec, owner=owner,
                                       interface=interface, uid=uid))

    def start(self, guest: folder.Folder) -> None:
        """Start a guest that is off.

        :raises computed.exception.DriverError: it does not start
        """
        record, settings = guest.record(), self._ready()
        launch.check(record.spec, settings)
        with folder.plain_errors():
            if record.interface:
                network.prepare(record.interface)
            launch.start(guest, record, settings)

    @property
    def capabilities(self) -> frozenset[str]:
        """Return what guests can have on this host, beyond the usual."""
        given = self._ready().isolation
        found = {'volumes'} if given.mount_namespace else set()
        if found and block_io.counted(given.hierarchies):
            found.add('block_counters')
        return frozenset(found)

    def attach(self, guest: folder.Folder, volume: driver.Volume,
               main: proc.Process | None) -> None:
        """Give a guest a volume; see :func:`.volumes.attach`."""
        settings = self._ready()
        if 'volumes' not in self.capabilities:
            raise exception.NotSupported(
                driver='process', operation='attach volumes here, because '
                'guests have no mount namespaces of their own')
        # Two guests must not get the same one.
        with self._choosing:
            volumes.attach(guest, volume, settings.hidden, main,
                           settings.isolation.hierarchies)

    def block_counters(self, guest: folder.Folder
                       ) -> list[driver.BlockCounters]:
        """Return the counters of the volumes of a guest that runs."""
        given, found = self._ready().isolation, []
        for one in volumes.of_guest(guest):
            now = block_io.read(guest, one.identity, given.hierarchies)
            counters = (dict.fromkeys(block_io.NAMES) if now is None
                        else block_io.since(one.base, now))
            found.append(driver.BlockCounters(
                uuid=guest.uuid, volume_id=one.volume_id,
                device=f'volumes/{one.volume_id}', epoch='/'.join([
                    now['epoch'] if now else '', one.attachment_id]),
                **counters))
        return found

    def clear_unstarted(self, claim: virt_claim.Claim,
                        guest: folder.Folder) -> None:
        """Remove a guest whose spawn ended before its start.

        :raises computed.exception.DriverError: the guest was started
        """
        claim.ensure_ours(guest.owner())
        if guest.run() is not None:
            raise exception.DriverError(
                reason=f'guest {guest.uuid} exists already')
        ending.end(guest, 0)
        self.remove(guest)

    def remove_failed(self, guest: folder.Folder) -> None:
        """Remove a guest that did not start; log what cannot be removed."""
        try:
            ending.end(guest, 0)
            self.remove(guest)
        except exception.DriverError as error:
            LOG.warning('Guest %s did not start and cannot be removed '
                        'completely: %s', guest.uuid, error)

    def remove(self, guest: folder.Folder) -> None:
        """Remove the folder and the control groups of a guest that is off.

        :raises computed.exception.DriverError: something cannot be removed
        """
        volumes.give_all_back(guest)
        with folder.plain_errors():
            guest.remove()
        if self._settings is not None:
            cgroups.remove(cgroups.paths_of(
                guest, self._settings.isolation.hierarchies))

    def _ready(self) -> launch.Settings:
        if self._settings is None:
            raise exception.DriverNotReady(reason='init_host was not called')
        return self._settings

    def _networks(self) -> list[ipaddress.IPv4Network]:
        """Return the networks that a new guest cannot get."""
        taken = network.host_networks()
        for uuid in listing.uuids(self._root):
            with contextlib.suppress(exception.DriverError):
                record = folder.Folder(self._root, uuid).record()
                if record.interface:
                    taken.append(record.interface.network)
        return taken


def shortcomings(conf: cfg.ConfigOpts) -> list[str]:
    """Return what guests lack on this host, as text for an operator.

    :raises computed.exception.DriverNotReady: it cannot be found out
    """
    found = isolation.measure(conf)
    return [found.describe()] if found.missing else []
