"""What may go wrong: each fault by its name.

A method of :class:`Sudden` is a fault that happens at a moment. One of
``weather.CHANCES`` lasts while the schedule works.
"""

import dataclasses
import os
import shutil

from computed import states
from computed.virt import values
from tests.schedules import database_faults
from tests.schedules import hub
from tests.schedules import machines as machines_module
from tests.schedules import operators
from tests.schedules import weather
from tests.schedules import wishes


class Sudden(operators.Operator):
    """The faults that happen at a moment, and heal by themselves."""

    def __init__(self, cell, rate):
        """:param rate: seconds between two faults, on the average"""
        super().__init__(cell)
        self._rate = rate

    def run(self, names):
        """Let these faults happen, for ever; the body of a thread."""
        while names:
            hub.running.sleep(self._random.expovariate(1 / self._rate))
            if self._cell.calm:
                return
            self.happen(self._some(names))

    def play(self, script):
        """Let each fault happen at its time; the body of a thread.

        :param script: ``((seconds of work, fault), ...)``, in order
        """
        began = hub.running.now
        for at, name in script:
            hub.running.sleep(began + at - hub.running.now)
            self.happen(name)

    def happen(self, name):
        """Let a fault happen if it can, or begin."""
        if name in weather.CHANCES:
            self._cell.weather.begin(name)
            return
        told = len(hub.running.story)
        getattr(self, name)()
        # Each fault that happens is told.
        if len(hub.running.story) > told:
            self._cell.judge.looks[f'fault:{name}'] += 1

    # -- processes and machines

    def crash_host(self):
        machine = self._some(self._cell.machines)
        if machine.alive:
            machine.crash()
            machine.start_in(self._within(15))

    def reboot_machine(self):
        machine = self._some(self._cell.machines)
        machine.crash()
        machine.new_boot()
        for uuid, info in list(machine.guests.infos.items()):
            if info.power_state in states.ON:
                self._end_guest(machine, uuid)
        machine.start_in(self._within(15))

    def crash_conductor(self):
        conductor = self._some(self._cell.conductors)
        if conductor.process.alive:
            conductor.crash()
            conductor.start_in(self._within(10))

    def _freeze(self, process, seconds):
        here = hub.running
        if process is None or not process.alive or process.frozen:
            return
        here.tell(f'{process} freezes')
        process.freeze()

        def thaw():
            if process.frozen:
                here.tell(f'{process} thaws')
                process.thaw()
        here.after(seconds, thaw)

    def freeze_host(self):
        self._freeze(self._some(self._cell.machines).process,
                     self._within(50))

    def freeze_long(self):
        self._freeze(self._some([*self._cell.machines,
                                 *self._cell.conductors]).process,
                     40 + self._within(40))

    def freeze_conductor(self):
        self._freeze(self._some(self._cell.conductors).process,
                     self._within(50))

    def fill_disk(self):
        machine = self._some(self._cell.machines)
        if machine.disk_full:
            return
        hub.running.tell(f'the disk of {machine.name} is full')
        machine.disk_full = True

        def empty():
            hub.running.tell(f'the disk of {machine.name} has room')
            machine.disk_full = False
        hub.running.after(self._within(25), empty)

    def lose_state(self):
        """A machine gets a new state path. Its guests run on."""
        machine = self._some(self._cell.machines)
        if self._cluster.misled or not (machine.alive and machine.ready):
            return      # see wrong_database
        machine.lose_state()
        machine.start_in(self._within(15))

    # -- networks

    def _cut(self, cuts, what, text):
        hub.running.tell(f'{text} is cut')
        cuts.add(what)
        hub.running.after(self._within(25), lambda: cuts.discard(what))

    def cut_rpc(self):
        host = self._some(self._cell.machines).process
        conductor = self._some(self._cell.conductors).process
        if host is not None:
            self._cut(self._cell.network.cut, frozenset((host, conductor)),
                      f'the way from {host} to {conductor}')

    def cut_db(self):
        process = self._some(self._cell.conductors).process
        address = self._some(['*', *self._cluster.address])
        self._cut(self._cluster.cut, (process, address),
                  f'the way from {process} to {os.path.basename(address)}')

    # -- copies

    def clone(self):
        """A copy of a host's disk starts as another machine."""
        machines = self._cell.machines
        source = self._some(machines)
        if len(machines) > 2 or not (source.alive and source.ready):
            return
        copy = machines_module.Machine(self._cell, f'x{len(machines)}',
                                   source.host, is_copy=True)
        source.may_be_down = True
        copy.knows = True
        shutil.copytree(source.state_path, copy.state_path,
                        ignore=shutil.ignore_patterns('*.lock', '*.tmp'))
        for info in source.guests.infos.values():
            copy.guests.put(dataclasses.replace(
                info, power_state=states.SHUTDOWN))
        self._join(copy, f'with the disk of {source.name}')

    def second(self):
        """Another machine has the name of a host, by mistake."""
        machines = self._cell.machines
        source = self._some(machines)
        if len(machines) <= 2 and not self._cluster.misled:
            source.may_be_down = True
            self._join(machines_module.Machine(
                self._cell, f'y{len(machines)}', source.host, is_copy=True),
                f'as another {source.host}')

    def _join(self, machine, text):
        self._cell.machines.append(machine)
        hub.running.tell(f'{machine.name} starts {text}')
        machine.start()

    # -- clocks

    def wall_host(self):
        self._jump(self._some(self._cell.machines))

    def wall_conductor(self):
        self._jump(self._some(self._cell.conductors))

    def _jump(self, one):
        one.wall += self._some(database_faults.JUMPS)
        if one.process:
            one.process.wall = one.wall
        hub.running.tell(f'the clock of {one.name} jumps')

    # -- guests

    def guest_dies(self):
        machine = self._some(self._cell.machines)
        on = [uuid for uuid, info in machine.guests.infos.items()
              if info.power_state in states.ON]
        if on:
            self._end_guest(machine, self._some(on))

    def _end_guest(self, machine, uuid):
        self._cell.judge.befalls(uuid, 'ends')
        self._set(machine, uuid, states.SHUTDOWN, 1)

    def guest_starts(self):
        machine = self._some(self._cell.machines)
        on = {uuid for other in self._cell.machines
              for uuid, info in other.guests.infos.items()
              if info.power_state in states.ON}
        # Nobody starts by hand what runs on another machine.
        off = [uuid for uuid, info in machine.guests.infos.items()
               if info.power_state == states.SHUTDOWN and uuid not in on]
        if off and machine.alive and machine.driver is not None:
            uuid = self._some(off)
            self._cell.judge.befalls(uuid, 'is started by hand')
            self._set(machine, uuid, states.RUNNING, None)

    def guest_returns(self):
        """A guest is there again after it was deleted for good."""
        gone = {row['uuid'] for row in self._cell.cluster.primary.rows(
            'SELECT uuid FROM instances WHERE deleted AND NOT guest_left')}
        found = [guest for guest in self._cell.judge.guests.values()
                 if guest.wishes == {wishes.GONE} and guest.uuid in gone and
                 guest.uuid not in guest.machine.guests.infos and
                 guest.machine.alive and guest.machine.ready and
                 guest.machine.host not in self._cell.judge.moved]
        if found:
            guest = self._some(found)
            hub.running.tell(f'guest {guest} returns')
            guest.machine.guests.put(values.InstanceInfo(
                uuid=guest.uuid, power_state=states.RUNNING,
                owner=guest.machine.service.claims.owner))

    def _set(self, machine, uuid, power_state, exit_code):
        if machine.alive and machine.driver is not None:
            hub.running.spawn(machine.process, machine.driver.set_power_state,
                              uuid, power_state, exit_code, name='guest')
        else:
            machine.guests.put(dataclasses.replace(
                machine.guests.infos[uuid], power_state=power_state))


SUDDEN = tuple(
    name for kind in reversed(Sudden.__mro__[:-1]) for name in vars(kind)
    if name[0] != '_' and name not in ('run', 'play', 'happen'))
ALL = (*SUDDEN, *weather.CHANCES)
NEED_REPLICA = {'stall_replica', 'fail_over', 'fail_over_lagging',
                'switch_over', 'fail_back', 'slow_reads', 'lag'}
