"""Guests that outlive the process, and an account of what befell them."""

import json
import pathlib

from computed import files
from computed import states
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt import memory

# Not those that points counts: these are the guests themselves.
write_json, read_json = files.write_json, files.read_json


class LastingDriver(memory.MemoryDriver):
    """Keeps guests in a file; each change of one is a point to be killed at.
    """

    def __init__(self, conf, path, points):
        super().__init__(conf)
        self._path = pathlib.Path(path)
        self._points = points
        self._guests = {
            uuid: driver.InstanceInfo(uuid=uuid, power_state=power_state,
                                      owner=virt_claim.Owner(*owner))
            for uuid, (power_state, owner) in read_json(self._path).items()}

    def interface_counters(self, uuids=None):
        return [driver.InterfaceCounters(
                    uuid=uuid, device='eth0', mac_address='02:00',
                    rx_bytes=1000, tx_bytes=500, rx_packets=None,
                    tx_packets=None, epoch='e')
                for uuid, guest in self._guests.items()
                if guest.power_state == states.RUNNING and
                (uuids is None or uuid in uuids)]

    def _change(self, uuid, power_state, *args, **kwargs):
        before = self._on_disk(uuid)
        if before != power_state:
            self._points.reached(f'guest {power_state}')
        super()._change(uuid, power_state, *args, **kwargs)
        if before != power_state:
            self._keep(f'{uuid} {power_state}')

    def destroy(self, claim):
        there = claim.uuid in self._guests
        super().destroy(claim)
        if there:
            self._points.reached('guest gone')
            self._keep(f'{claim.uuid} gone')

    def _on_disk(self, uuid):
        return read_json(self._path).get(uuid, [None])[0]

    def _keep(self, effect):
        write_json(self._path, {
            uuid: (guest.power_state,
                   (guest.owner.database_id, guest.owner.host))
            for uuid, guest in self._guests.items()})
        with open(effects_path(self._path), 'a', encoding='ascii') as stream:
            stream.write(f'{effect}\n')


def effects_path(path):
    """Where every change of a guest is written down."""
    return f'{path}.effects'


def prepare(path, guests, owner):
    """Have these guests, and nothing told of them yet.

    :param guests: ``{uuid: power state}``
    :param mark: ``(database id, host)``
    """
    pathlib.Path(path).write_text(json.dumps(
        {uuid: (state, owner) for uuid, state in guests.items()}))
    pathlib.Path(effects_path(path)).write_text('')
