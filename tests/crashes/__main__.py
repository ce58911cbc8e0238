"""Kill a host before each of its side effects; see the package."""

import json
import os
import pathlib
import signal
import sys
import tempfile
import traceback

from computed import context
from computed import states
from computed.claims import journal
from computed.objects import instance as instance_obj
from computed.operations import recover
from computed.repair import memory as task_memory
from computed.virt import memory
from tests.crashes import guests
from tests.crashes import points
from tests.crashes import scenarios
from tests.support import fixtures

CREATED = '2026-01-01 00:00:00.000000'
REVISION = 7
# What must be the same in the end; times and revisions need not.
COMPARED = {
    'instances': 'uuid, vm_state, task_state, power_state, exit_code, fault, '
                 'claim_id, claim_owner, deleted, guest_left, cleaned, '
                 'clean_attempts, clean_failed',
    'guest_claims': '*',
    'block_device_mapping': 'volume_id, instance_uuid, status',
    'compute_nodes': 'host, service_id, vcpus_used, memory_mb_used',
    'usage_audits': 'host, state, attempt, reported, unreported',
}
BYTES = {'bandwidth_usage': 'uuid, mac_address, bw_in, bw_out',
         'volume_usage': 'volume_id, instance_uuid, rd_bytes, wr_bytes'}


class Bench:
    """One scenario on one conductor, again and again."""

    def __init__(self, folder, primary, name, state):
        """:param state: an empty folder for the host"""
        self.rpc = folder
        self.primary = primary
        self.name = name
        self.scenario = scenarios.SCENARIOS[name]
        self.state = pathlib.Path(state)
        self.guests = self.state / 'guests.json'
        self.said = self.state / 'points.json'

    def sql(self, statement, *arguments):
        return fixtures.SqlitePair.sql(self.primary, statement, *arguments)

    def prepare(self):
        """Everything as the scenario begins."""
        for table in ('instances', 'services', *COMPARED, *BYTES):
            self.sql(f'DELETE FROM {table}')
        self.sql('INSERT OR REPLACE INTO hosts VALUES (?, ?, ?)',
                 fixtures.HOST, REVISION, CREATED)
        for uuid, (vm_state, power_state) in self.scenario.rows.items():
            values = {**fixtures.INSTANCE, 'uuid': uuid, 'name': uuid,
                      'vm_state': vm_state, 'power_state': power_state,
                      'deleted': vm_state == states.DELETED,
                      'guest_left': self.scenario.left,
                      'cleaned': vm_state == states.DELETED and not (
                          self.scenario.left or
                          uuid in self.scenario.files),
                      'revision': REVISION,
                      'created_at': CREATED, 'updated_at': CREATED,
                      'launched_at': CREATED, 'deleted_at':
                      CREATED if vm_state in (
                          states.SOFT_DELETED, states.DELETED) else None}
            self.sql(f"INSERT INTO instances ({', '.join(values)}) VALUES "
                     f"({', '.join('?' * len(values))})", *values.values())
        [[database]] = self.sql('SELECT uuid FROM database_identity')
        guests.prepare(self.guests, self.scenario.guests,
                       (database, fixtures.HOST), self.prepare_volume(),
                       self.scenario.files)
        for path in [*self.state.glob('claims/*'),
                     *self.state.glob('tasks/*')]:
            path.unlink()

    def pass_an_hour(self):
        """Let the clock of the cell count an hour."""
        self.sql('UPDATE cell_clock SET seconds = seconds + 3600')

    def prepare_volume(self):
        """Make the volume; return ``{uuid of a guest: its volume}``."""
        uuid, path = scenarios.VOLUME, '/srv/data'
        self.sql('INSERT OR REPLACE INTO volumes VALUES (?, ?, ?, ?, ?)',
                 uuid, 'data', fixtures.HOST, path, CREATED)
        if self.scenario.volume is None:
            return {}
        self.sql('INSERT INTO block_device_mapping VALUES (?, ?, ?, ?, ?)',
                 uuid, uuid, scenarios.FIRST, self.scenario.volume, CREATED)
        return {scenarios.FIRST: {
            'volume_id': uuid, 'attachment_id': uuid, 'path': path}}

    def run(self, *kills):
        """One life of the host after the other.

        :param kills: for each the number of the point at which it is
            killed; None: it is not
        :returns: how it ended
        """
        self.prepare()
        for number, kill_at in enumerate(kills):
            pid = os.fork()
            if not pid:
                self.child(kill_at, successor=number > 0)
            _, status = os.waitpid(pid, 0)
            died = os.WIFSIGNALED(status) and (
                os.WTERMSIG(status) == signal.SIGKILL)
            if died != (kill_at is not None) or (
                    not died and status):
                raise SystemExit(
                    f'{self.name}, kills {kills}: a life ended with {status}')
        return self.outcome()

    def child(self, kill_at, successor):
        try:
            # The start of the first life has nothing to finish.
            self.live(points.Points(kill_at, counting=successor), successor)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def live(self, counted, successor):
        """One life: start, finish what was begun, do it."""
        counted.watch_files()
        with fixtures.HostSide(self.rpc, self.state) as side:
            for name, value in {'sync_power_state_pool_size': 1,
                                **self.scenario.options}.items():
                side.conf.set_override(name, value, 'tasks')
            counted.watch_calls(side.conductor)
            virt = memory.MemoryDriver(side.conf, guests.LastingGuests(
                self.guests, counted))
            virt.stuck = self.scenario.stuck
            made = side.manager(
                virt, task_memory=task_memory.Memory(self.state / 'tasks'))
            made.bench = self
            # As its user finds it after a death: nothing has begun.
            untouched = {row for row, in self.sql(
                'SELECT revision FROM instances')} <= {REVISION}
            found = instance_obj.InstanceList.get_by_host(
                context.new(), fixtures.HOST)
            begin = not self.scenario.asked or not successor or untouched
            if successor or not self.scenario.building:
                # Else it would be found unbuilt before it is to be built.
                recover.recover(made, context.new(), list(found),
                                lambda: None)
            counted.counting = True
            if begin and not self.given_up():
                self.scenario.run(made)
            counted.reached('the end')
        self.said.write_text(json.dumps(counted.passed))

    def given_up(self):
        """A start found it unbuilt: its user decides."""
        return bool(self.sql("SELECT 1 FROM instances WHERE vm_state = "
                             "'error' AND fault IS NOT NULL"))

    def outcome(self):
        # The last bytes of a guest that is stopped die with who counted them.
        tables = {**COMPARED, **BYTES} if 'usage' in self.name else (
            COMPARED)
        return {
            'rows': {table: sorted(map(repr, self.sql(
                f'SELECT {columns} FROM {table}')))
                for table, columns in tables.items()},
            'guests': json.loads(self.guests.read_text()),
            'volumes': [(uuid, volume['volume_id']) for uuid, volume in
                        json.loads(pathlib.Path(guests.volumes_path(
                            self.guests)).read_text()).items()],
            'files': pathlib.Path(guests.files_path(self.guests)).read_text(),
            'effects': pathlib.Path(guests.effects_path(
                self.guests)).read_text().split('\n')[:-1],
            'journal': [entry.claim_id for entry in journal.Journal(
                self.state / 'claims').entries()]}


def main(folder, primary, name, *first):
    """Run one scenario, and print how it ended."""
    with tempfile.TemporaryDirectory(prefix='crashes-') as state:
        ends = killed_everywhere(Bench(folder, primary, name, state), *first)
    json.dump(ends, sys.stdout)


def killed_everywhere(bench, *first):
    """How it ends undisturbed, and with a death at each point.

    :param first: the label of the point at which a first life ends; then
        it is its successor that is killed everywhere
    """
    wanted = bench.run(None)
    before = []
    if first:
        before = [json.loads(bench.said.read_text()).index(*first) + 1]
        bench.run(*before, None)
    labels = json.loads(bench.said.read_text())
    killed = {f'{number} {label}': bench.run(*before, number, None)
              for number, label in enumerate(labels, 1)}
    return {'unperturbed': wanted, 'killed': killed}


if __name__ == '__main__':
    main(*sys.argv[1:])
