"""What may go wrong: each fault by its name.

A method of :class:`Sudden` is a fault that happens at a moment. An entry of
``WEATHER`` is one that lasts while the schedule works.
"""

import dataclasses
import os
import shutil

from computed import chance as computed_chance
from computed import states
from tests.schedules import hub
from tests.schedules import machines as machines_module

STRIDE = 1 << 20        # computed.db.routing.incarnation.STRIDE


def _set(part, name, value):
    """Return what sets an attribute of a part of a cell."""
    return lambda cell: setattr(getattr(cell, part), name, value)


def _slow_reads(cell):
    # On replicas only: slow reads everywhere make heartbeats slow, and then
    # all tolerant reads go to the primary.
    hub.running.bias['rows'] = 0.3


WEATHER = {
    'lose_request': _set('network', 'lose_request', 0.05),
    'lose_reply': _set('network', 'lose_reply', 0.05),
    'late': _set('network', 'late', 0.05),
    'twice': _set('network', 'twice', 0.1),
    'lose_commit': _set('cluster', 'lose_commits', 0.05),
    'lag': _set('cluster', 'long_lag', True),
    'slow_reads': _slow_reads,
    'driver': _set('weather', 'driver', 0.05),
    'slow': _set('weather', 'slow', 8.0),
}


class Sudden:
    """The faults that happen at a moment, and heal by themselves."""

    def __init__(self, cell, rate):
        """:param rate: seconds between two faults, on the average"""
        self._cell, self._cluster = cell, cell.cluster
        self._random, self._rate = cell.random, rate

    def run(self, names):
        """Let these faults happen, for ever; the body of a thread."""
        while names:
            hub.running.sleep(self._random.expovariate(1 / self._rate))
            if self._cell.calm:
                return
            name = self._some(names)
            self._cell.judge.looks[f'fault:{name}'] += 1
            getattr(self, name)()

    def _some(self, things):
        return things[int(self._random.random() * len(things))]

    def _within(self, seconds):
        return self._random.random() * seconds

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
        self._freeze(self._some(self._cell.machines).process,
                     40 + self._within(40))

    def freeze_conductor(self):
        self._freeze(self._some(self._cell.conductors).process,
                     self._within(20))

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

    # -- databases

    def db_restart(self):
        server = self._cluster.primary
        if not server.up:
            return
        hub.running.tell('the primary goes down')
        self._stop(server)

        def back():
            if server is self._cluster.primary and not server.up:
                hub.running.tell('the primary is back')
                server.up = True
        hub.running.after(self._within(12), back)

    def _stop(self, server):
        server.up = False
        for process in self._cell.processes:
            for connection in process.connections:
                if connection.server is server:
                    connection.sever()

    def stall_replica(self):
        if not self._cluster.replicas:
            return
        place = int(self._random.random() * len(self._cluster.replicas))
        if place not in self._cluster.stalled:
            hub.running.tell(f'replica {place} stalls')
            self._cluster.stalled.add(place)
            hub.running.after(self._within(40),
                              lambda: self._cluster.resume(place))

    def fail_over(self):
        """Nothing that was acknowledged is lost: semi-synchronous."""
        if self._cluster.replicas:
            replica = max(self._cluster.replicas,
                          key=lambda one: len(one.log))
            replica.apply(self._cluster.primary.log[len(replica.log):])
            self._promote(replica)

    def fail_over_lagging(self):
        if self._cluster.replicas:
            self._promote(self._some(self._cluster.replicas))

    def _promote(self, replica):
        former, lives = self._cluster.primary, self._random.random() < 0.5
        lost = self._cluster.fail_over(replica, lives)
        if not lives:
            self._stop(former)
        text = (f'failover to {replica.name}, the former primary '
                f'{"lives on" if lives else "is dead"}')
        self._lost(lost, text)
        self._cluster.committed(self._cluster.primary)

    def _lost(self, commits, text):
        if commits:
            self._cell.judge.lost(f'{text}; {commits} commits are lost')
        else:
            hub.running.tell(text)

    def restore(self):
        """A dump is loaded, and the operator does what the page says."""
        cluster, length = self._cluster, len(self._cluster.primary.log)
        if length < 20:
            return
        former = cluster.primary
        lost = cluster.restore(length - 1 - int(
            self._within(min(60, length - 10))))
        self._stop(former)
        number = computed_chance.uuid()
        cluster.primary.write(
            ('UPDATE database_identity SET incarnation = ?', number),
            (f'UPDATE hosts SET revision = revision + {STRIDE}',))
        self._lost(lost, 'a dump is restored')

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
        if len(machines) <= 2:
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
        machine = self._some(self._cell.machines)
        machine.wall += self._some((3600, -3600, 86400))
        if machine.process:
            machine.process.wall = machine.wall
        hub.running.tell(f'the clock of {machine.name} jumps')

    def wall_db(self):
        jump = self._some((3600, -3600, 86400))
        self._cluster.primary.clock += jump
        hub.running.tell(f'the clock of the primary jumps by {jump} s')

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
        off = [uuid for uuid, info in machine.guests.infos.items()
               if info.power_state == states.SHUTDOWN]
        if off and machine.alive and machine.driver is not None:
            uuid = self._some(off)
            self._cell.judge.befalls(uuid, 'is started by hand')
            self._set(machine, uuid, states.RUNNING, None)

    def _set(self, machine, uuid, power_state, exit_code):
        if machine.alive and machine.driver is not None:
            hub.running.spawn(machine.process, machine.driver.set_power_state,
                              uuid, power_state, exit_code, name='guest')
        else:
            machine.guests.put(dataclasses.replace(
                machine.guests.infos[uuid], power_state=power_state))


SUDDEN = tuple(name for name in vars(Sudden)
               if not name.startswith('_') and name != 'run')
ALL = (*SUDDEN, *WEATHER)
NEED_REPLICA = {'stall_replica', 'fail_over', 'fail_over_lagging',
                'slow_reads', 'lag'}
