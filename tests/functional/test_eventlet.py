"""The backend eventlet: chosen, refused, and the same tests on it."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import psutil
import pytest

from computed import concurrency
from tests.support import fixtures
from tests.support import waiting

ROOT = pathlib.Path(__file__).parents[2]
FUNCTIONAL = 'tests/functional/'
PROGRAMS = FUNCTIONAL + 'test_programs.py::'
REAL_TIME = """
from computed import concurrency
concurrency.choose()
import sys
from eventlet import patcher
from computed.service import mainloop
from tests.support import fixtures

class Service:
    def start(self):
        print('started', flush=True)
    def stop(self):
        patcher.original('time').sleep(100)

conf = fixtures.make_conf(sys.argv[1], graceful_shutdown_timeout=1)
mainloop.MainLoop(conf, Service()).run()
"""


def environment(backend=None, **variables):
    """This process's environment, with another choice."""
    kept = {name: value for name, value in os.environ.items()
            if name != concurrency.VARIABLE}
    if backend is not None:
        kept[concurrency.VARIABLE] = backend
    return {**kept, **variables}


def pass_on_eventlet(*tests, **variables):
    done = subprocess.run(
        [sys.executable, '-P', '-m', 'pytest', '-v', '-W', 'ignore',
         '-p', 'no:cacheprovider', *tests],
        cwd=ROOT, capture_output=True, text=True, timeout=900,
        env=environment(concurrency.EVENTLET, **variables))
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'concurrency backend: eventlet' in done.stdout
    assert re.search(r'\d+ passed', done.stdout)


@pytest.mark.parametrize('tests', [
    [FUNCTIONAL + 'test_unix_transport.py',
     FUNCTIONAL + 'process_driver/test_contract.py',
     'tests/unit/virt/process/test_watcher.py',
     'tests/unit/periodic/test_runner.py'],
    [PROGRAMS + 'test_the_whole_life_of_an_instance',
     PROGRAMS +
     'test_an_instance_killed_behind_its_back_is_recorded_as_stopped',
     PROGRAMS + 'test_a_conductor_that_dies_is_started_again',
     PROGRAMS + 'test_systemd_is_told'],
], ids=['parts', 'programs'])
def test_what_holds_on_threads_holds_on_eventlet(tests):
    pass_on_eventlet(*tests)


def test_the_guarantees_hold_on_eventlet_with_rabbitmq_too(rabbitmq):
    """SQLite, over unix:// and over RabbitMQ; then MariaDB with a replica."""
    pass_on_eventlet(
        FUNCTIONAL + 'test_claims.py', FUNCTIONAL + 'test_read_over_rpc.py',
        'tests/integration/test_end_to_end.py::'
        'test_a_killed_instance_is_found_within_one_interval[mariadb-True]',
        **rabbitmq.named())


# One pool that starts a thread must not keep another from doing so.
POOLS = """
import faulthandler
faulthandler.dump_traceback_later(60, exit=True)
from computed import concurrency
concurrency.choose()
import os, sys, time
from computed import manager
from tests.support import fixtures

found = manager.ComputeManager(fixtures.make_conf(sys.argv[1]), None, None)
threads = [concurrency.thread('submits', pool.submit, time.sleep, 0.1)
           for pool in (found.workers, found.event_workers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print('ok', flush=True)
os._exit(0)
"""


def test_pools_do_not_wait_for_each_other(tmp_path):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', POOLS, tmp_path], cwd=ROOT,
        capture_output=True, text=True,
        env=environment(concurrency.EVENTLET))
    assert (done.stdout, done.returncode) == ('ok\n', 0), done.stderr


# -- the choice

FILE = ['--config-file', '{0}/a.conf']


@pytest.mark.parametrize('variable, option, words, backend', [
    (None, None, FILE, 'threading'),
    (None, 'eventlet', FILE, 'eventlet'),
    (None, 'eventlet', ['--config-file={0}/a.conf'], 'eventlet'),
    (None, 'eventlet', ['-x', '--config-dir', '{0}', 'y'], 'eventlet'),
    ('eventlet', None, FILE, 'eventlet'),
    ('threading', 'eventlet', FILE, 'threading'),
    ('eventlet', 'threading', FILE, 'eventlet'),
    # the program reports the error when it reads the configuration itself
    (None, '$nothing', FILE, 'threading'),
    (None, 'eventlet\n[', FILE, 'threading'),
    (None, None, ['--config-file', '{0}/none'], 'threading'),
    (None, None, ['--config-file'], 'threading')])
def test_the_environment_chooses_before_the_files(
        tmp_path, variable, option, words, backend):
    (tmp_path / 'a.conf').write_text(
        f'[DEFAULT]\nconcurrency_backend = {option}\n' if option else '')
    done = subprocess.run(
        [sys.executable, '-c',
         'import sys; from computed import concurrency as c; '
         'c.choose(sys.argv[1:]); c.choose([]); print(c.chosen())',
         *(word.format(tmp_path) for word in words)],
        capture_output=True, text=True, env=environment(variable))
    assert (done.stdout, done.stderr) == (backend + '\n', '')


@pytest.fixture
def killed():
    """A list of processes that do not outlive the test."""
    processes = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_a_host_takes_its_conductor_along(tmp_path, killed):
    config = tmp_path / 'computed.conf'
    config.write_text('[DEFAULT]\nconcurrency_backend = eventlet\n')
    program = fixtures.Program(
        'computed', tmp_path, '--config-file', str(config), '--state-path',
        str(tmp_path / 'state'), **{concurrency.VARIABLE: ''})
    killed.append(program.process)
    program.wait_for_output('Next, in another terminal')
    host = psutil.Process(program.process.pid)
    conductor, = host.children()
    assert conductor.environ()[concurrency.VARIABLE] == 'eventlet'
    # Two more threads write to standard output and standard error, so that no
    # reader of these blocks them.
    assert (host.num_threads(), conductor.num_threads()) == (3, 3)
    assert program.output().count('Running on eventlet, which') == 2

    host.kill()
    program.process.wait()
    waiting.wait_for(lambda: not conductor.is_running(), 10,
                     'the conductor gone with its host')


# -- refusals

def refusal(program, folder, backend='eventlet', text='', **variables):
    """Return the output of a program that refuses to start."""
    config = folder / 'computed.conf'
    config.write_text(text)
    done = subprocess.run(
        [sys.executable, '-P', '-m', f'computed.cmd.{program}',
         '--config-file', str(config), '--state-path', str(folder / 'state')],
        capture_output=True, text=True, timeout=30,
        env=environment(backend, **variables))
    assert done.returncode == 1, done.stderr
    assert 'Traceback' not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize('program, text, value', [
    ('conductor', '[database]\nconnection = postgresql://me:word@h/name\n',
     '[database] connection = h/name'),
    ('conductor', '[database]\nconnection = sqlite:////{0}/a\n'
     'replica_connections = postgresql://me:word@h/name\n',
     '[database] replica_connections = h/name'),
    ('computed', '[DEFAULT]\ntransport_url = fake://me:word@h/\n',
     '[DEFAULT] transport_url = fake://***@h/'),
], ids=['primary', 'replica', 'transport'])
def test_what_would_hold_every_thread_is_refused(
        tmp_path, program, text, value):
    said = refusal(program, tmp_path, text=text.format(tmp_path))
    assert said == (
        f'computed{"-conductor" * (program == "conductor")}: {value}: under '
        'eventlet, each wait in this library would block all threads. '
        'Write concurrency_backend = threading.')


def test_a_backend_that_there_is_not_is_refused(tmp_path):
    assert refusal('computed', tmp_path, 'gevent') == (
        'computed: COMPUTED_CONCURRENCY_BACKEND = gevent: there is no such '
        'backend. Write one of threading, eventlet.')


def test_without_the_package_one_is_told_to_install_it(tmp_path):
    (tmp_path / 'eventlet.py').write_text(
        'raise ModuleNotFoundError("No module named \'eventlet\'")\n')
    said = refusal('computed', tmp_path, None, '[DEFAULT]\n'
                   'concurrency_backend = eventlet\n',
                   PYTHONPATH=str(tmp_path))
    assert said == (
        'computed: [DEFAULT] concurrency_backend = eventlet: eventlet cannot '
        "be imported (No module named 'eventlet'). Install "
        'computed[eventlet], or write threading.')


def test_a_choice_that_comes_too_late_is_refused(tmp_path):
    (tmp_path / 'late.conf').write_text(
        '[DEFAULT]\nconcurrency_backend = eventlet\n')
    done = subprocess.run(
        [sys.executable, '-P', '-m', 'computed.cmd.computed', '--config-fil',
         str(tmp_path / 'late.conf'), '--state-path', str(tmp_path)],
        capture_output=True, text=True, timeout=30, env=environment())
    assert done.returncode == 1
    assert ('concurrency_backend = eventlet: the place of this option is '
            'read too late. Write it to computed.conf') in done.stderr


# -- the end

def test_what_holds_every_thread_does_not_hold_the_end(tmp_path, killed):
    process = subprocess.Popen(
        [sys.executable, '-c', REAL_TIME, str(tmp_path)], cwd=ROOT,
        env=environment('eventlet'), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    killed.append(process)
    assert process.stdout.readline() == 'started\n'
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30 * waiting.PATIENCE)[1]
    assert process.returncode == 1
    assert 'in stop' in said, 'where it hung'
