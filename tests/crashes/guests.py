"""Guests that outlive the process, and a record of their changes."""

import dataclasses
import json
import pathlib

from computed import files
from computed import states
from computed.virt import claim as virt_claim
from computed.virt import driver
from computed.virt import memory_guests

# The originals: points must not count these writes. They are the guests.
write_json, read_json = files.write_json, files.read_json


class LastingGuests(memory_guests.Guests):
    """Keep guests in a file. Each change of one is a point to be killed at.
    """

    def __init__(self, path, points):
        super().__init__()
        self._path = pathlib.Path(path)
        self._points = points
        self.infos = {
            uuid: driver.InstanceInfo(uuid=uuid, power_state=power_state,
                                      owner=virt_claim.Owner(*owner))
            for uuid, (power_state, owner) in read_json(self._path).items()}
        for uuid, volume in read_json(volumes_path(self._path)).items():
            super().attach(uuid, driver.Volume(**volume))
        self.files = {*read_json(files_path(self._path))}

    def put(self, info):
        before = self.infos.get(info.uuid)
        if before is not None and before.power_state == info.power_state:
            return super().put(info)
        self._points.reached(f'guest {info.power_state}')
        changed = super().put(info)
        self._keep(f'{info.uuid} {info.power_state}')
        return changed

    def remove(self, uuid):
        self._points.reached('guest gone')
        super().remove(uuid)
        self._keep(f'{uuid} gone')

    def attach(self, uuid, volume):
        self._points.reached('volume attached')
        super().attach(uuid, volume)
        self._keep(f'{uuid} has {volume.volume_id}')

    def detach(self, uuid, volume_id):
        if (uuid, volume_id) in self.volumes:
            self._points.reached('volume detached')
            super().detach(uuid, volume_id)
            self._keep(f'{uuid} lacks {volume_id}')

    def counters(self):
        """Return the same counters for every guest that runs."""
        return [driver.InterfaceCounters(
                    uuid=uuid, device='eth0', mac_address='02:00',
                    rx_bytes=1000, tx_bytes=500, rx_packets=None,
                    tx_packets=None, epoch='e')
                for uuid, guest in self.infos.items()
                if guest.power_state == states.RUNNING]

    def block_counters(self):
        """Return the same counters for every volume of a guest that runs."""
        return [dataclasses.replace(
            one, rd_req=1, rd_bytes=1000, wr_req=1, wr_bytes=500)
            for one in super().block_counters()]

    def leave_files(self, uuid):
        if uuid not in self.files:
            self._points.reached('files left')
            super().leave_files(uuid)
            self._keep(f'{uuid} has left files')

    def clean(self, uuid):
        if uuid in self.files:
            self._points.reached('files gone')
            super().clean(uuid)
            self._keep(f'{uuid} is clean')

    def _keep(self, effect):
        write_json(self._path, {
            uuid: (guest.power_state,
                   (guest.owner.database_id, guest.owner.host))
            for uuid, guest in self.infos.items()})
        write_json(volumes_path(self._path), {
            uuid: dataclasses.asdict(volume)
            for (uuid, _), volume in self.volumes.items()})
        write_json(files_path(self._path), sorted(self.files))
        with open(effects_path(self._path), 'a', encoding='ascii') as stream:
            stream.write(f'{effect}\n')


def effects_path(path):
    """Return the path of the record of all changes."""
    return f'{path}.effects'


def files_path(path):
    """Return the path of the uuids of guests that have left files."""
    return f'{path}.left'


def volumes_path(path):
    """Return the path of the volumes of guests; each has one at most."""
    return f'{path}.volumes'


def prepare(path, guests, owner, volumes, files):
    """Write these guests, with an empty record of changes.

    :param volumes: ``{uuid of a guest: values of a volume}``
    :param guests: ``{uuid: power state}``
    :param files: uuids of guests that are gone and have left files
    :param owner: ``(database id, host)``
    """
    pathlib.Path(path).write_text(json.dumps(
        {uuid: (state, owner) for uuid, state in guests.items()}))
    pathlib.Path(effects_path(path)).write_text('')
    pathlib.Path(volumes_path(path)).write_text(json.dumps(volumes))
    pathlib.Path(files_path(path)).write_text(json.dumps(files))
