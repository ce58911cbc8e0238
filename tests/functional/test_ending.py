"""Several programs that are told to end together: each ends in order."""

import itertools
import json
import pathlib
import signal

import pytest

from tests.support import fixtures
from tests.support import prefork
from tests.support import process_guests
from tests.support import waiting

# Seconds that an idle machine needs; a call may take 60 s by default.
SOON = 20
STUBBORN = 'trap "" TERM; while :; do sleep 1; done'
_numbers = itertools.count(1)
TASKS = '[tasks]\nsync_power_state_interval = 1\n'


class Site:
    """Two hosts and two conductors, with one database and one transport.

    The times are those of a user who configures none, except of the tasks:
    they ask a conductor all the time.
    """

    def __init__(self, folder, transport_url):
        self.folder = pathlib.Path(folder)
        self.transport_url = transport_url
        self.database = self.folder / 'primary.sqlite'
        fixtures.make_sqlite(self.database)
        self.programs = {}

    def start(self, name, program, shutdown_timeout):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        path = folder / 'computed.conf'
        path.write_text(
            f'[DEFAULT]\nhost = {name}\nstate_path = {folder}\n'
            f'transport_url = {self.transport_url}\nreport_interval = 1\n'
            'periodic_fuzzy_delay = 0\n'
            f'[database]\nconnection = sqlite:///{self.database}\n{TASKS}'
            f'[virt]\nshutdown_timeout = {shutdown_timeout}\n')
        self.programs[name] = fixtures.Program(
            program, folder, '--config-file', str(path))

    def start_all(self, shutdown_timeout=60):
        for name in ('c1', 'c2'):
            self.start(name, 'computed-conductor', shutdown_timeout)
        for name in ('h1', 'h2'):
            self.start(name, 'computed', shutdown_timeout)
        for name in ('h1', 'h2'):
            self.programs[name].wait_for_output('is managed')

    def manage(self, *words):
        done = prefork.run('computed.cmd.manage', '--config-file',
                           str(self.folder / 'c1' / 'computed.conf'), *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self):
        return fixtures.SqlitePair.sql(
            self.database, 'SELECT name, vm_state, task_state, claim_id '
            'FROM instances ORDER BY name')

    def wait_until_settled(self):
        waiting.wait_for(lambda: self.rows() == [
            (f'web-{host}', 'stopped', None, None) for host in ('h1', 'h2')],
            20, 'what was done before the end')
        waiting.wait_for(lambda: not list(self.folder.glob(
            'h*/claims/*.json')), 20, 'journals without an entry')
        for name in ('h1', 'h2'):
            said = self.programs[name].output()
            assert 'does not know of' not in said
        assert [one['state'] for one in json.loads(self.manage(
            'host', 'list', '-f', 'json'))] == ['up', 'up']

    def tell(self, names):
        for name in names:
            self.programs[name].process.send_signal(signal.SIGTERM)

    def wait_for_end(self, names):
        """Wait until they have ended, and check that it was in order."""
        running = [self.programs[name].process for name in names]
        waiting.wait_for(
            lambda: all(one.poll() is not None for one in running), SOON,
            'the end: ' + ''.join(
                f'\n-- {name}\n{self.programs[name].output()[-3000:]}'
                for name in names))
        for name in names:
            said = self.programs[name].output()
            assert self.programs[name].process.poll() == 0, said
            assert 'Traceback' not in said

    def end_guests(self):
        """Kill the guests, when no conductor that was told is left."""
        conductors = [self.programs[name].process for name in ('c1', 'c2')]
        waiting.wait_for(
            lambda: all(one.poll() is not None for one in conductors), SOON,
            'the end of the conductors')
        guests = process_guests.guests_of(
            self.folder, lambda one: one.cmdline()[1:] == ['-c', STUBBORN])
        assert len(guests) == 2, guests
        for process in guests:
            process.kill()

    def clean_up(self):
        for program in self.programs.values():
            program.end(signal.SIGKILL)
        process_guests.kill_guests(self.folder)


@pytest.fixture(params=['unix', 'rabbit'])
def site(request, tmp_path):
    if request.param == 'unix':
        url = f'unix://{tmp_path}/rpc'
    else:
        broker = request.getfixturevalue('rabbitmq')
        vhost = f'ending{next(_numbers)}'
        broker.add_vhost(vhost)
        url = broker.url(vhost)
    found = Site(tmp_path, url)
    yield found
    found.clean_up()


over_rabbit = pytest.mark.parametrize('site', ['rabbit'], indirect=True)


@pytest.fixture
def busy(site):
    """Each host ends a guest, until :meth:`Site.end_guests`."""
    site.start_all()
    for host in ('h1', 'h2'):
        site.manage('instance', 'create', f'web-{host}', '--host', host,
                    '--command', STUBBORN, '--wait')
    site.manage('instance', 'stop', 'web-h1', 'web-h2')
    assert [row[2] for row in site.rows()] == ['powering-off'] * 2
    return site


@pytest.mark.parametrize('order', ['c1 c2 h1 h2', 'h1 h2 c1 c2',
                                   'c1 h1 c2 h2'])
def test_programs_that_are_told_together_end_in_order(busy, order):
    names = order.split()
    busy.tell(names)
    busy.end_guests()
    busy.wait_for_end(names)
    busy.start_all()
    busy.wait_until_settled()


@over_rabbit
def test_programs_end_in_order_while_the_broker_is_away(busy, rabbitmq):
    with rabbitmq.away():
        busy.tell(busy.programs)
        busy.end_guests()
        busy.wait_for_end(busy.programs)
    busy.start_all()
    busy.wait_until_settled()
