"""What a conductor and its hosts write while the primary is down."""

import re

import pytest

from computed import context
from computed.rpc import hostapi
from tests.integration import test_replication as replication
from tests.support import fixtures
from tests.support import prefork
from tests.support import process_guests
from tests.support import waiting

HOSTS = ('h1', 'h2')
PROBLEMS = ('WARNING', 'ERROR', 'CRITICAL')
# How often each task of each host is put off.
TIMES = 8
LINE = re.compile(r'^\S+ \S+ \d+ (INFO|WARNING|ERROR|CRITICAL) .*?\] (.*)')
# A line that is told again after a minute.
MINUTE = re.compile(r' for \d{2,} s$')


class Site:
    """A conductor and two hosts, each with a guest, and all of their logs."""

    def __init__(self, folder, database):
        self.folder, self.database = folder, database
        self.programs = {'conductor': replication.start_conductor(
            folder, database, primary_timeout=1, max_replica_lag=3)}
        self.arguments = {}
        for host in HOSTS:
            (own := folder / host).mkdir()
            self.arguments[host] = fixtures.write_config(
                own / 'computed.conf', {},
                host=host, transport_url=f'unix://{folder}/rpc',
                report_interval=1, periodic_fuzzy_delay=0)
            with open(own / 'computed.conf', 'a') as stream:
                stream.write('[tasks]\nsync_power_state_interval = 1\n'
                             'update_resources_interval = 1\n'
                             'bandwidth_poll_interval = 1\n')
            self.programs[host] = fixtures.Program(
                'computed', own, *self.arguments[host])
        for host in HOSTS:
            self.programs[host].wait_for_output('is managed')
            done = prefork.run(
                'computed.cmd.manage', *self.arguments[host], 'instance',
                'create', f'web-{host}', '--host', host, '--command',
                'sleep 1000', '--wait')
            assert done.returncode == 0, done.stderr

    def runs(self, api):
        """``{(host, task): how often it ran}`` of those that run each second.
        """
        return {(host, task['name']): task['runs'] for host in HOSTS
                for task in api.list_tasks(context.new(), host)
                if task['spacing'] == 1}

    def lines(self, begun=None):
        """``{program: its lines}``, those after ``begun`` lines of each."""
        return {name: [line for line in program.output().splitlines()
                       if LINE.match(line)][len((begun or {}).get(name, ())):]
                for name, program in self.programs.items()}

    def end(self):
        for program in reversed(self.programs.values()):
            program.end()
        process_guests.kill_guests(self.folder)


@pytest.fixture
def site(tmp_path, database):
    found = Site(tmp_path, database)
    yield found
    found.end()


def told(lines, *levels):
    """What lines of these levels say, without their reasons and without what
    is told again after a minute.
    """
    found = [LINE.match(line).groups() for line in lines]
    said = [text.partition(': ')[0] for level, text in found
            if level in levels]
    return [re.sub(r'\d+ s\.$', 'N s.', text) for text in said
            if not MINUTE.search(text)]


@pytest.mark.parametrize('engine', ['mariadb'])
def test_an_outage_is_a_few_lines(site, database, tmp_path):
    primary = database.cluster.primary
    name = f'Primary 127.0.0.1:{primary.port}/{database.name}'
    with fixtures.HostSide(tmp_path, tmp_path) as side:
        replication.wait_for_replicas(side, 2)
        api = hostapi.HostAPI(side.transport)
        begun, before = site.lines(), site.runs(api)
        primary.kill()
        # A guest ends on each host, which nobody can record now.
        process_guests.kill_guests(site.folder)
        waiting.wait_for(lambda: all(
            runs >= before[task] + TIMES
            for task, runs in site.runs(api).items()), 60, 'tasks put off')
        down = site.lines(begun)
        primary.start()
        for host in HOSTS:
            site.programs[host].wait_for_output('is reported as alive again')
            site.programs[host].wait_for_output('is put off any more')
        site.programs['conductor'].wait_for_output('answers again after')
        replication.wait_for_replicas(side, 2)
    lines = site.lines(begun)
    # That no heartbeat arrives is no news of a replica. Once the primary is
    # back, a replica that needs longer to reach it is.
    assert told(down['conductor'], *PROBLEMS, 'INFO') == [f'{name} is away']
    assert [text for text in told(lines['conductor'], *PROBLEMS)
            if not text.startswith('Replica ')] == [
        f'{name} is away', f'{name} answers again after N s.']
    for host in HOSTS:
        assert told(lines[host], *PROBLEMS) == [
            'This host cannot be reported as alive',
            'This host is reported as alive again after N s.']
        infos = told(down[host], 'INFO')
        assert infos.count('Periodic tasks are put off') == 1
        # Its guest that ended: an event, and a pass that may not repair.
        assert len(infos) <= 3, infos
