"""A whole cell in this process, and what the judge sees of it."""

import os
import random
import shutil

from computed import chance
from computed import states
from computed.db.routing import answers
from tests.schedules import clocks
from tests.schedules import connections
from tests.schedules import consumers
from tests.schedules import database
from tests.schedules import hub
from tests.schedules import judge
from tests.schedules import machines
from tests.schedules import own
from tests.schedules import reads
from tests.schedules import rows
from tests.schedules import storage
from tests.schedules import threads
from tests.schedules import tokens
from tests.schedules import weather
from tests.schedules import wire


class Cell:
    """All of it.

    :ivar processes: every process that ever was
    :ivar random: what happens from outside is drawn from this
    """

    def __init__(self, seed, folder, template, hosts=2, conductors=1,
                 replicas=1, jitter=0.02, has_consumers=False,
                 has_volumes=False):
        self.folder = folder
        os.makedirs(folder)
        hub.running = here = own.Hub(seed, jitter)
        threads.seed(seed)
        chance.seed(f'{seed}/product')
        self.random = random.Random(f'{seed}/cell')
        self.processes, self.calm = [], False
        self.judge = judge.Judge(lambda: here.now, here.tell, self._shown)
        self.weather = weather.Weather(random.Random(f'{seed}/weather'),
                                       self.judge.looks)
        self.cluster = database.Cluster(
            folder, template, replicas, random.Random(f'{seed}/database'),
            self.weather, self._committed)
        self.reads = reads.Reads(self.cluster, lambda: here.now, self.judge)
        self.clocks = clocks.Clocks(self.judge)
        self.rows = rows.Rows(lambda: here.now, self.judge, self._powers)
        self.network = wire.Network(random.Random(f'{seed}/network'),
                                    self.weather)
        self.consumers = (consumers.Consumers(self) if has_consumers
                          else None)
        self.tokens = tokens.Tokens(self) if has_consumers else None
        self.storage = storage.Storage(self, seed) if has_volumes else None
        self.outside = self.process('outside')
        for place in range(replicas):
            here.spawn(self.outside, self.cluster.replicate, place,
                       name=f'replication {place}')
        self.conductors = [machines.Conductor(self, f'c{number}')
                           for number in range(conductors)]
        self.machines = [machines.Machine(self, f'm{number}', f'h{number}')
                         for number in range(hosts)]
        # {boot id: machine}, {host: (boot id, heartbeat, when)}
        self._runs, self._services = {}, {}
        self._watch()

    def process(self, name, machine=None):
        """Return a new process."""
        made = hub.Process(hub.running, name, machine)
        self.processes.append(made)
        return made

    def transport(self, conf):
        return wire.Transport(conf, self.network)

    def connect(self, url):
        return connections.connect(self.cluster, url.database)

    def conf_of_user(self):
        return machines.make_conf('user', self.folder)

    def start(self):
        for one in (*self.conductors, *self.machines):
            one.start()

    def is_ready(self):
        return all(machine.ready for machine in self.machines)

    def heal(self):
        """Let no fault happen any more, and end those that last."""
        here, network, cluster = hub.running, self.network, self.cluster
        here.tell('calm')
        self.calm = True
        here.jitter, here.bias = 0.0, {}
        self.weather.clear()
        network.cut.clear()
        cluster.cut.clear()
        cluster.primary.up = True
        for machine in self.machines:
            machine.disk_full = False
        for place in list(cluster.stalled):
            cluster.resume(place)
        for process in self.processes:
            if process.frozen:
                process.thaw()
        for conductor in self.conductors:
            if not conductor.process.alive:
                conductor.start_in(1)
        for machine in self.machines:
            if not machine.alive:
                machine.start_in(1)

    # -- what the judge sees

    def _shown(self, uuid):
        rows = self.cluster.primary.rows(
            'SELECT claim_id, vm_state FROM instances WHERE uuid = ?', uuid)
        return (rows[0]['claim_id'], rows[0]['vm_state']) if rows else (
            None, None)

    def _powers(self, host, uuid):
        found = [machine.guests.infos.get(uuid) for machine in self.machines
                 if machine.host == host]
        return [info.power_state if info else states.NOSTATE
                for info in found]

    def _committed(self, server, commit):
        self.reads.committed(server, commit)
        if commit.touches('cell_clock'):
            self.clocks.committed(server, commit.by, *server.history())
        if commit.touches('instances'):
            if commit.at == hub.running.now:    # else it is told once more
                self.clocks.wrote(commit.by, server.history()[0])
            self.rows.committed(server.rows(rows.QUERY))
            if self.tokens is not None:
                self.tokens.committed(server)
        if self.storage is not None and commit.touches('volume_usage'):
            self.storage.committed(server)
        if commit.touches('services'):
            self._judge_services(server.rows(
                'SELECT host, boot_id, heartbeat FROM services'))

    def _judge_services(self, rows):
        """Judge that a host is given only to who may have it: I6."""
        for machine in self.machines:
            identity = getattr(machine.service, 'identity', None)
            if identity is not None:
                self._runs[identity.boot_id] = machine
        for row in rows:
            host, boot_id, heartbeat = row.values()
            known = self._services.get(host)
            if known is not None and known[:2] == (boot_id, heartbeat):
                continue
            self._services[host] = boot_id, heartbeat, hub.running.now
            if known is None or known[0] == boot_id:
                continue
            self.judge.looks['host taken'] += 1
            former, later = self._runs[known[0]], self._runs[boot_id]
            if former is not later:
                self.judge.moved.add(host)
            silent = hub.running.now - known[2]
            if former is not later and not self.judge.losses and (
                    silent < machines.OPTIONS[None]['service_down_time'] - 1):
                self.judge.fail('taken-over', f'{later.name} is {host} now, '
                                f'{former.name} was heard {silent:.0f} s ago')

    def _watch(self):
        """See each answer that a conductor gives."""
        def note(ours, read, scope, reason, age, now):
            _note(ours, read, scope, reason, age, now)
            seen = hub.running.current.snapshot
            if seen is not None:
                hub.running.current.snapshot = None
                if self.reads.is_another(hub.running.current, seen[0]):
                    return
                context = read.context
                self.reads.answered(reads.Answer(
                    *seen, scope.node.role, reason, age,
                    self._bound(context),
                    not context.lag_tolerant and context.after is None,
                    reason == 'after_host' and read.covered,
                    dict(scope.revisions)))
        answers.Answers._note = note

    @staticmethod
    def _bound(context):
        if context.max_staleness is None:
            return machines.OPTIONS['database']['max_replica_lag']
        return context.max_staleness

    def close(self):
        hub.end()
        for process in self.processes:
            for lock in getattr(process, 'locks', ()):
                lock.close()
        self.cluster.close()
        own.forget()
        shutil.rmtree(self.folder)


_note = answers.Answers._note
