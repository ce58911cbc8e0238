"""The programs as a user runs them: real processes, a real hypervisor."""

import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import psutil
import pytest

from computed.db.cell import migration
from tests.support import fixtures
from tests.support import prefork
from tests.support import process_guests
from tests.support import waiting

CONFIG = """
[tasks]
sync_power_state_interval = 2
[virt]
shutdown_timeout = 30
"""


class Standalone:
    """``computed`` without configuration on a state path of its own."""

    def __init__(self, folder, python=sys.executable):
        self.python = python
        self.folder = pathlib.Path(folder)
        self.state = self.folder / 'state'
        self.config = self.folder / 'computed.conf'
        self.config.write_text(CONFIG)
        self.database = self.state / 'computed.sqlite'
        self.arguments = ['--config-file', str(self.config),
                          '--state-path', str(self.state)]
        self.program = None

    def start(self, fresh=False, **environment):
        """:param fresh: as of ``fixtures.Program``, for the host; Python is
            always started for its conductor
        """
        self.program = fixtures.Program(
            'computed', self.folder, *self.arguments, python=self.python,
            fresh=fresh, **environment)
        self.program.wait_for_output('Next, in another terminal')

    def conductor(self):
        """The process of the conductor."""
        return next(child for child in psutil.Process(
            self.program.process.pid).children()
            if 'computed.cmd.conductor' in child.cmdline())

    def manage(self, *words, check=True, fresh=False):
        """:param fresh: start the Python of the daemon for it; another one
            might lack a package whose options the file has
        """
        if fresh or self.python != sys.executable:
            done = subprocess.run(
                [self.python, '-P', '-m', 'computed.cmd.manage',
                 *self.arguments, *words],
                capture_output=True, text=True, timeout=360)
        else:
            done = prefork.run('computed.cmd.manage', *self.arguments, *words)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def show(self, name='web'):
        return json.loads(self.manage(
            'instance', 'show', name, '--strict', '-f', 'json').stdout)

    def spacings(self):
        """Return ``{task: seconds}``, as the daemon tells."""
        return {task['name']: task['spacing'] for task in json.loads(
            self.manage('task', 'list', '--long', '-f', 'json').stdout)}

    def rows(self, columns='vm_state, task_state, claim_id'):
        """Return the instances in the database."""
        return fixtures.SqlitePair.sql(
            self.database, f'SELECT {columns} FROM instances')

    def wait_for_rows(self, expected, columns, seconds=20):
        waiting.wait_for(lambda: self.rows(columns) == expected, seconds,
                         f'{expected}, not {self.rows(columns)}')

    def clean_up(self):
        if self.program.process.poll() is None:
            self.program.end()
        process_guests.kill_guests(self.state)


@pytest.fixture
def standalone(tmp_path):
    """One that a test may end."""
    found = Standalone(tmp_path)
    found.start()
    yield found
    found.clean_up()


@pytest.fixture(scope='module')
def started(tmp_path_factory):
    found = Standalone(tmp_path_factory.mktemp('standalone'))
    found.start(fresh=True)
    yield found
    found.clean_up()


@pytest.fixture
def lasting(started):
    """One that tests share; each finds it without an instance."""
    yield started
    for [uuid] in fixtures.SqlitePair.sql(
            started.database, 'SELECT uuid FROM instances WHERE NOT deleted'):
        started.manage('instance', 'delete', uuid, '--wait')
    fixtures.SqlitePair.sql(started.database, 'DELETE FROM instances')


def test_an_instance_killed_behind_its_back_is_recorded_as_stopped(
        lasting):
    lasting.manage('instance', 'create', 'web', '--command', 'sleep 1000',
                   '--wait')
    os.kill(lasting.show()['pid'], signal.SIGKILL)
    lasting.wait_for_rows([('stopped', 6, -9)],
                          'vm_state, power_state, exit_code')
    said = lasting.program.output()
    assert re.search(r'Instance web \([0-9a-f-]{36}\): stop done\.', said)


def test_nothing_is_done_without_a_host_that_is_up(standalone):
    """Although its next run need not wait until it was silent."""
    standalone.manage('instance', 'create', 'web', '--command', 'sleep 1000',
                      '--wait')
    done = standalone.manage('instance', 'delete', 'web', '--force', '--wait')
    assert 'without its host' not in done.stdout + done.stderr
    [host] = json.loads(standalone.manage(
        'host', 'list', '-f', 'json').stdout)
    refused = standalone.manage('host', 'delete', host['host'], check=False)
    assert refused.returncode == 1 and 'was heard' in refused.stderr


def test_instances_survive_the_daemon_and_are_found_again(standalone):
    standalone.manage('instance', 'create', 'web', '--command',
                      'sleep 1000', '--wait')
    before = standalone.show()
    assert standalone.program.end(signal.SIGINT) == 0
    said = standalone.program.output()
    assert 'Instances that keep running: 1.' in said
    assert f'instance stop {before["uuid"]}' in said
    assert psutil.pid_exists(before['pid'])
    standalone.start()
    after = standalone.show()
    assert (after['pid'], after['vm_state']) == (before['pid'], 'active')
    standalone.manage('instance', 'delete', 'web', '--wait')
    waiting.wait_for(lambda: not psutil.pid_exists(before['pid']))


def test_a_guest_whose_files_are_gone_is_neither_killed_nor_forgotten(
        standalone):
    standalone.manage('instance', 'create', 'web', '--command',
                      'sleep 1000', '--wait')
    before = standalone.show()
    guest = standalone.state / 'instances' / before['uuid']
    assert standalone.program.end() == 0
    (guest / 'run.json').unlink()
    standalone.start()
    standalone.manage('task', 'run', '_sync_power_states')
    after = standalone.show()
    assert (after['pid'], after['vm_state']) == (before['pid'], 'active')
    assert 'without its run.json' in standalone.program.output()
    shutil.rmtree(guest)
    standalone.manage('instance', 'delete', 'web', '--wait')
    assert not psutil.pid_exists(before['pid'])
    assert list(guest.parent.iterdir()) == []


def test_the_whole_life_of_an_instance(lasting):
    manage = lasting.manage
    manage('instance', 'create', 'web', '--wait', '--command',
           'echo umask `umask`; sleep 1000')
    waiting.wait_for(lambda: 'umask 0022' in manage(
        'instance', 'log', 'web').stdout)
    assert [path for path in lasting.state.rglob('*')
            if path.lstat().st_mode & 0o077 and not path.is_symlink()] == []
    pid = lasting.show()['pid']
    for words, state in ((['pause'], ('paused', 3)),
                         (['unpause'], ('active', 1)),
                         (['reboot'], ('active', 1)),
                         (['reboot', '--hard'], ('active', 1)),
                         (['stop'], ('stopped', 4)),
                         (['start'], ('active', 1))):
        manage('instance', words[0], 'web', *words[1:], '--wait')
        assert lasting.rows('vm_state, power_state') == [state]
    assert lasting.show()['pid'] != pid
    refused = manage('instance', 'unpause', 'web', check=False)
    assert refused.returncode == 1
    assert 'while it is active' in refused.stderr
    assert refused.stderr.count('\n') == 1
    manage('instance', 'delete', 'web', '--wait')
    assert lasting.rows('vm_state, deleted') == [('deleted', 1)]
    assert not list((lasting.state / 'instances').iterdir())


def test_a_daemon_killed_in_mid_claim_is_succeeded(standalone):
    """... and its conductor ends with it."""
    standalone.manage(
        'instance', 'create', 'web', '--wait', '--command',
        'trap "" TERM; while :; do sleep 1; done')
    conductor = standalone.conductor()
    standalone.manage('instance', 'stop', 'web')
    [(state, task_state, claim)] = standalone.rows()
    assert (state, task_state, claim is None) == (
        'active', 'powering-off', False)
    standalone.program.process.kill()
    standalone.program.process.wait()
    waiting.wait_for(lambda: not conductor.is_running(), 10,
                     'the end of the conductor')
    [entry] = (standalone.state / 'claims').glob('*.json')
    assert claim in entry.name
    standalone.config.write_text('[virt]\nshutdown_timeout = 0\n')
    standalone.start()
    standalone.wait_for_rows([('stopped', None, None)],
                             'vm_state, task_state, claim_id')
    assert not list((standalone.state / 'claims').glob('*.json'))
    assert 'finishing stop' in standalone.program.output()


def test_a_conductor_that_dies_is_started_again(standalone):
    conductor = standalone.conductor()
    conductor.kill()
    standalone.program.wait_for_output('The conductor ended')
    waiting.wait_for(lambda: standalone.manage(
        'instance', 'list', check=False).returncode == 0, 20)


def test_a_host_loads_no_sql_and_opens_no_database(lasting):
    maps = pathlib.Path(
        f'/proc/{lasting.program.process.pid}/maps').read_text()
    assert 'python' in maps
    assert 'sqlalchemy' not in maps
    assert 'sqlite' not in maps
    process = psutil.Process(lasting.program.process.pid)
    assert not [found for found in process.open_files()
                if 'computed.sqlite' in found.path]
    assert not process.net_connections('inet')
    theirs = pathlib.Path(
        f'/proc/{lasting.conductor().pid}/maps').read_text()
    assert 'sqlalchemy' in theirs


def test_a_reload_changes_the_interval(lasting):
    lasting.config.write_text('[tasks]\nsync_power_state_interval = 77\n')
    lasting.program.process.send_signal(signal.SIGHUP)
    lasting.program.wait_for_output('Configuration reloaded.')
    assert lasting.spacings()['_sync_power_states'] == 77
    lasting.config.write_text(CONFIG)
    lasting.program.process.send_signal(signal.SIGHUP)
    waiting.wait_for(
        lambda: lasting.spacings()['_sync_power_states'] == 2, 10,
        'the former interval')


def test_a_bad_reload_leaves_everything_as_it_was(lasting):
    for number, text in enumerate((
            '[DEFAULT]\nreport_interval = abc\n'
            '[tasks]\nsync_power_state_interval = 77\n',
            '[tasks]\nsync_power_state_interval = 77\n[taks]\n'), 1):
        lasting.config.write_text(text)
        lasting.program.process.send_signal(signal.SIGHUP)
        lasting.program.wait_for(
            lambda number=number: lasting.program.output().count(
                'The configuration is left as it was:') == number,
            'the refusal')
    assert 'report_interval' in lasting.program.output()
    assert '[taks] is no section' in lasting.program.output()
    lasting.config.write_text(CONFIG)
    assert lasting.spacings()['_sync_power_states'] == 2
    assert 'Traceback' not in lasting.program.output()


def test_a_command_that_does_not_exist_is_found_out(lasting):
    lasting.manage('instance', 'create', 'bad', '--command',
                   'nosuchprogram')
    lasting.wait_for_rows([('stopped', 127)], 'vm_state, exit_code')
    assert 'nosuchprogram' in lasting.manage(
        'instance', 'log', 'bad').stdout


@pytest.mark.parametrize('text, said', [
    ('[tasks]\nmax_repairs\x1b_per_pas = 5\n',
     r': [tasks] max_repairs\x1b_per_pas is no option that computed '
     'reads. Write max_repairs_per_pass'),
    ('[databse]\nconnection = sqlite://\n',
     ': [databse] is no section that computed reads. Write [database].')])
def test_what_is_misspelt_is_refused(tmp_path, text, said):
    config = tmp_path / 'computed.conf'
    config.write_text(text)
    for program, words in (('computed', []), ('conductor', []),
                           ('manage', ['db', 'version'])):
        done = prefork.run(f'computed.cmd.{program}', '--config-file',
                           config, '--state-path', tmp_path / 'state', *words)
        assert done.returncode == 1
        assert f'{config}{said}' in done.stderr
        assert '\x1b' not in done.stderr
    assert not (tmp_path / 'state').exists()


def test_options_of_a_package_that_only_hosts_have(tmp_path):
    """A conductor says it in one line, a command not at all."""
    config = tmp_path / 'computed.conf'
    config.write_text('[zzz]\nspeed = 3\n')
    arguments = ('--config-file', str(config),
                 '--state-path', str(tmp_path / 'state'))
    line = f'{config}: this machine knows no section [zzz].'
    conductor = fixtures.Program('computed-conductor', tmp_path, *arguments)
    try:
        conductor.wait_for_output(line)
        config.write_text('[zzz]\nspeed = 4\n')
        conductor.process.send_signal(signal.SIGHUP)
        conductor.wait_for_output('Configuration reloaded')
        assert conductor.output().count(line) == 2
    finally:
        assert conductor.end() == 0
    done = prefork.run('computed.cmd.manage', *arguments, 'db', 'version')
    assert (done.returncode, done.stderr) == (0, '')
    done = prefork.run('computed.cmd.computed', *arguments)
    assert done.returncode == 1
    assert f'{config}: [zzz] is no section that computed reads' in done.stderr


def test_a_second_daemon_on_the_same_state_is_refused(lasting):
    done = prefork.run('computed.cmd.computed', *lasting.arguments)
    assert done.returncode == 1
    assert 'Another computed' in done.stderr
    assert str(lasting.program.process.pid) in done.stderr


def test_a_task_run_by_hand_gives_its_record(lasting):
    record = json.loads(lasting.manage(
        'task', 'run', '_sync_power_states', '-f', 'json').stdout)
    assert (record['outcome'], record['candidates']) == ('ok', 0)
    shown = json.loads(lasting.manage(
        'host', 'list', '-f', 'json').stdout)
    assert [host['state'] for host in shown] == ['up']


def test_a_stop_under_way_is_waited_for_but_not_for_ever(standalone):
    """The first signal lets it finish, the second ends at once."""
    standalone.manage(
        'instance', 'create', 'web', '--wait', '--command',
        'trap "" TERM; while :; do sleep 1; done')
    standalone.manage('instance', 'stop', 'web')
    process = standalone.program.process
    process.send_signal(signal.SIGTERM)
    standalone.program.wait_for_output('Instances that keep running: 1.')
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)     # sent to its group, too
    assert process.poll() is None

    def insist():
        process.send_signal(signal.SIGTERM)
        return process.poll() is not None
    waiting.wait_for(insist, 60)
    assert process.wait(120) == 1
    assert 'a second time: ending now' in standalone.program.output()


def test_what_a_host_has_is_recorded_from_its_start_on(standalone):
    def shown():
        return json.loads(standalone.manage(
            'host', 'show', '--strict', '-f', 'json').stdout)['vcpus']
    total = len(os.sched_getaffinity(0))
    assert (shown()['used'], shown()['reserved']) == (0, 0)
    assert 1 <= shown()['total'] <= total
    large = ('instance', 'create', 'web', '--command', 'sleep 1000',
             '--vcpus', '1000', '--wait')
    assert 'has no room for this instance: 1000 CPUs asked' in (
        standalone.manage(*large, check=False).stderr)
    standalone.manage(*large, '--force')
    # Without waiting for a run of the task.
    assert shown()['used'] == 1000
    record = json.loads(standalone.manage(
        'task', 'run', 'update_available_resource', '-f', 'json').stdout)
    assert record['outcome'] == 'ok'
    assert shown()['used'] == 1000
    assert shown()['free'] == shown()['capacity'] - 1000
    assert ' free: OVERCOMMITTED' in standalone.manage(
        'host', 'show').stdout


def test_a_host_renamed_over_its_guests_is_refused(standalone):
    standalone.manage('instance', 'create', 'web', '--command',
                      'sleep 1000', '--wait')
    standalone.program.end()
    standalone.config.write_text('[DEFAULT]\nhost = other\n')
    standalone.program = fixtures.Program(
        'computed', standalone.folder, *standalone.arguments)
    assert standalone.program.process.wait(120) == 1
    assert '[DEFAULT] host = other: the guests here belong to' in (
        standalone.program.output())
    assert 'No instance keeps running' not in standalone.program.output()
    # Nothing was written under the wrong name.
    for table, column in (('hosts', 'name'), ('services', 'host')):
        assert ('other',) not in fixtures.SqlitePair.sql(
            standalone.database, f'SELECT {column} FROM {table}')


def test_a_host_makes_no_database_where_its_own_was(standalone):
    standalone.program.end()
    for path in standalone.state.glob('computed.sqlite*'):
        path.unlink()
    standalone.program = fixtures.Program(
        'computed', standalone.folder, *standalone.arguments)
    assert standalone.program.process.wait(120) == 1
    [said] = [line for line in standalone.program.output().splitlines()
              if 'this host has worked with database' in line]
    assert 'Put it back from a backup' in said
    assert not standalone.database.exists()


def test_a_host_writes_nothing_to_another_database(standalone):
    standalone.program.end()
    fixtures.make_sqlite(standalone.database)
    standalone.program = fixtures.Program(
        'computed', standalone.folder, *standalone.arguments)
    assert standalone.program.process.wait(120) == 1
    [said] = [line for line in standalone.program.output().splitlines()
              if 'this host has worked with database' in line]
    assert 'put that database back from a backup' in said
    assert fixtures.SqlitePair.sql(
        standalone.database, 'SELECT host FROM services') == []


def test_systemd_is_told(tmp_path):
    path = str(tmp_path / 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        told = queue.SimpleQueue()

        def read():     # always, as systemd does: else a sender waits
            while True:
                told.put(systemd.recv(4096).decode())
        threading.Thread(target=read, daemon=True).start()
        found = Standalone(tmp_path)
        found.start(NOTIFY_SOCKET=path)
        while 'READY=1' not in told.get(timeout=120):
            pass
        found.program.process.send_signal(signal.SIGTERM)
        while 'STOPPING=1' not in told.get(timeout=120):
            pass
        assert found.program.process.wait(120) == 0


@pytest.mark.parametrize('text, complaint', [
    ('[tasks]\nsync_power_state_interval = -1\n',
     '[tasks] sync_power_state_interval = -1: .*Write 0 to turn it off'),
    ('[virt]\ndriver = xen\n', r'\[virt\] driver = xen'),
    ('[DEFAULT]\ntransport_url = rabbit:/u:SECRET@h\n',
     r'\[DEFAULT\] transport_url = rabbit://\*\*\*: it does not begin'),
    ('[database]\nconnection = mysql://u:SECRET\n',
     r'\[database\] connection = mysql://\*\*\*: its port'),
    ('[database]\nconnection = sqlite:////{0}/a\n'
     'replica_connections = sqlite:////{0}/a\n',
     r'\[database\] replica_connections.*another URL names the same'),
    ('[DEFAULT]\nlog_file = {0}/none/x',
     r'^computed: \[DEFAULT\] log_file = .*/none/x: No such file'),
    ('[DEFAULT]\nlog_file = {0}/open/x',
     r'^computed: \[DEFAULT\] log_file = .*/open is writable by other users'),
    ('[DEFAULT]\nlog_dir = {0}/open',
     r'^computed: \[DEFAULT\] log_file = .*/open is writable by other users'),
    ('[database]\nconnection = sqlite:////{0}/open/x\n',
     r'\[database\] connection = .*/open is writable by other users'),
    ('[DEFAULT]\ndefault_log_levels = amqp',
     r'^computed: \[DEFAULT\] default_log_levels = amqp: '),
    ('[DEFAULT]\ntransport_url = kafka://x',
     r'^computed: \[DEFAULT\] transport_url = kafka://x: '),
    ('[DEFAULT]\nreport_interval = 99999999999\n'
     'service_down_time = 999999999999\n',
     r'^computed: \[DEFAULT\] report_interval = 99999999999: larger'),
    ('[upgrade_levels]\nconductor = 99.9\n',
     'allows only 99.9. Set it to the version of the oldest peer'),
], ids=['interval', 'driver', 'transport', 'database', 'same', 'log file',
        'open log file', 'open log folder', 'open database', 'log levels',
        'no library', 'large', 'pin'])
def test_wrong_configuration_is_refused_in_one_line(
        tmp_path, text, complaint):
    config = tmp_path / 'computed.conf'
    config.write_text(text.format(tmp_path))
    (tmp_path / 'open').mkdir()
    (tmp_path / 'open').chmod(0o777)
    done = prefork.run(
        'computed.cmd.computed', '--config-file', str(config),
        '--state-path', str(tmp_path / 'state'))
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert 'Traceback' not in done.stderr
    assert 'SECRET' not in done.stderr + done.stdout
    assert any(_matches(complaint, line) for line in lines), done.stderr


def test_an_empty_state_path_is_not_the_working_directory(tmp_path):
    config = tmp_path / 'computed.conf'
    config.write_text('[DEFAULT]\nstate_path =\n')
    done = subprocess.run(
        [sys.executable, '-P', '-m', 'computed.cmd.computed', '--config-file',
         str(config)], cwd=tmp_path,
        capture_output=True, text=True, timeout=30 * waiting.PATIENCE)
    assert done.returncode == 1
    assert '[DEFAULT] state_path = : it is empty.' in done.stderr
    assert list(tmp_path.iterdir()) == [config]


def _matches(pattern, line):
    import re
    return re.search(pattern.replace('[tasks]', r'\[tasks\]'), line)


def test_a_database_without_a_schema_is_refused(tmp_path):
    arguments = fixtures.write_config(tmp_path / 'computed.conf', {
        'connection': f'sqlite:///{tmp_path}/empty.sqlite'})
    done = prefork.run('computed.cmd.conductor', *arguments)
    assert done.returncode == 1
    assert (f'The database {tmp_path}/empty.sqlite has schema none, the code '
            f'needs {migration.NEEDED}. If it had one, put it back from a '
            'backup. Else run `computed-manage db sync`.') in done.stderr
    assert 'Traceback' not in done.stderr
