"""The guests of the memory driver: a machine that outlives the driver."""

import collections
import dataclasses
import threading
import typing

from computed import states
from computed.virt import driver


class Guests:
    """The guests of one machine.

    They belong to the machine, not to the driver: give the same object to
    the next driver to have the guests outlive a restart of the service.

    :ivar lock: hold it while you read or change the guests
    :ivar infos: the guests, by uuid; change them by :meth:`put` and
        :meth:`remove` only
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.infos: dict[str, driver.InstanceInfo] = {}
        self._starts: collections.Counter[str] = collections.Counter()
        self._interfaces: dict[
            tuple[str, str], driver.InterfaceCounters] = {}
        # {(uuid of a guest, id of a volume): the volume}
        self.volumes: dict[tuple[str, str], driver.Volume] = {}
        self._blocks: dict[tuple[str, str], driver.BlockCounters] = {}
        # The guests that are gone and have left files.
        self.files: set[str] = set()

    def put(self, info: driver.InstanceInfo) -> bool:
        """Add a guest, or replace what is known about it.

        :returns: whether this started or ended the guest
        """
        before, is_on = self._is_on(info.uuid), info.power_state in states.ON
        if is_on and not before and info.uuid in self.infos:
            self._restart_counters(info.uuid)
        self.infos[info.uuid] = info
        return is_on != before

    def remove(self, uuid: str) -> None:
        """Remove a guest that exists."""
        del self.infos[uuid]
        self._restart_counters(uuid)
        for key in [key for key in self.volumes if key[0] == uuid]:
            self.detach(*key)

    def leave_files(self, uuid: str) -> None:
        """Let a guest that is gone have left files."""
        self.files.add(uuid)

    def clean(self, uuid: str) -> None:
        """Remove the files that a guest has left."""
        self.files.discard(uuid)

    def set_counters(self, counters: driver.InterfaceCounters) -> None:
        """Replace the counters of one interface; its epoch is ignored."""
        self._interfaces[counters.uuid, counters.mac_address or ''] = counters

    def counters(self) -> list[driver.InterfaceCounters]:
        """Return the counters of all interfaces of guests that are on."""
        return [
            dataclasses.replace(found, epoch=str(self._starts[uuid]))
            for (uuid, _), found in self._interfaces.items()
            if self._is_on(uuid)]

    def attach(self, uuid: str, volume: driver.Volume) -> None:
        """Give a guest a volume, whose counters begin at zero."""
        self.volumes[uuid, volume.volume_id] = volume
        self._blocks[uuid, volume.volume_id] = driver.BlockCounters(
            uuid=uuid, volume_id=volume.volume_id, device=volume.path,
            rd_req=0, rd_bytes=0, wr_req=0, wr_bytes=0, epoch='')

    def detach(self, uuid: str, volume_id: str) -> None:
        """Take a volume from a guest, if it has it."""
        self.volumes.pop((uuid, volume_id), None)
        self._blocks.pop((uuid, volume_id), None)

    def use_volume(self, uuid: str, volume_id: str,
                   **more: int | None) -> None:
        """Add to the counters of a volume of a guest, by name.

        :param more: None: the counter is not known any more
        """
        before = self._blocks[uuid, volume_id]
        counters: dict[str, typing.Any] = {
            name: None if value is None else getattr(before, name) + value
            for name, value in more.items()}
        self._blocks[uuid, volume_id] = dataclasses.replace(
            before, **counters)

    def block_counters(self) -> list[driver.BlockCounters]:
        """Return the counters of all volumes of guests that are on."""
        return [dataclasses.replace(found, epoch=(
            f'{self.volumes[key].attachment_id}/{self._starts[key[0]]}'))
            for key, found in self._blocks.items() if self._is_on(key[0])]

    def _is_on(self, uuid: str) -> bool:
        return uuid in self.infos and (
            self.infos[uuid].power_state in states.ON)

    def _restart_counters(self, uuid: str) -> None:
        """Begin another epoch, as each start of a guest does."""
        self._starts[uuid] += 1
        for key, counters in self._interfaces.items():
            if key[0] == uuid:
                self._interfaces[key] = dataclasses.replace(
                    counters, rx_bytes=0, tx_bytes=0)
        for key, blocks in self._blocks.items():
            if key[0] == uuid:
                self._blocks[key] = dataclasses.replace(
                    blocks, rd_req=0, rd_bytes=0, wr_req=0, wr_bytes=0)
