"""The memory driver, whose acts take time, may fail, and are seen."""

import dataclasses
import functools

from computed import exception
from computed.virt import memory
from tests.schedules import hub
from tests.schedules import storage
from tests.schedules import wishes


class Driver(memory.MemoryDriver):
    """The guests belong to the machine of the running process."""

    def __init__(self, conf):
        self.machine = hub.running.current.process.machine
        super().__init__(conf, self.machine.guests)
        self._cell = self.machine.cell
        self.machine.driver = self

    def list_instances(self):
        weather = self._cell.weather
        self.complete = not weather.happens('driver')
        found = self._look(super().list_instances)
        if weather.happens('lies'):
            found = dataclasses.replace(found, instances={
                uuid: info for uuid, info in found.instances.items()
                if weather.within(1.0) < 0.5})
        return found

    def get_instance(self, uuid):
        return self._look(lambda: super(Driver, self).get_instance(uuid))

    def block_counters(self, uuids=None):
        if self._cell.storage is not None:
            self._cell.storage.before_look(self.machine, uuids)
        return self._look(lambda: super(Driver, self).block_counters(uuids))

    def attach_volume(self, claim, volume):
        storage.act(self, 'attach_volume', claim, volume)

    def detach_volume(self, claim, volume_id):
        storage.act(self, 'detach_volume', claim, volume_id)

    def _look(self, call):
        weather = self._cell.weather
        hub.running.point()
        weather.delay()
        if weather.happens('driver'):
            raise exception.DriverError(reason='simulated')
        return call()

    def _act(self, what, claim, call):
        here, cell = hub.running, self._cell
        act = wishes.Act(claim.uuid, what,
                         (self.machine.name, self.machine.lives),
                         claim.claim_id, claim.operation)
        cell.judge.begins(act)
        cell.rows.acts(act)
        here.point()
        cell.weather.delay_act()
        before, failed = self._state(claim.uuid), True
        self.stuck = 'simulated' if cell.weather.happens('files') else None
        try:
            call()
            failed = False
        except exception.FilesLeft:
            failed = False
            raise
        finally:
            if not here.over:
                cell.judge.acted(act, before, self._state(claim.uuid), failed)
        cell.weather.delay_act()
        here.point()

    def _state(self, uuid):
        found = self.machine.guests.infos.get(uuid)
        return found and found.power_state


def _seen(name):
    """Return an act of the memory driver that the judge sees."""
    real = getattr(memory.MemoryDriver, name)

    @functools.wraps(real)
    def act(self, claim, *arguments):
        self._act(name, claim, lambda: real(self, claim, *arguments))
    return act


for _name in ('spawn', 'destroy', 'power_on', 'power_off', 'reboot', 'pause',
              'unpause'):
    setattr(Driver, _name, _seen(_name))
