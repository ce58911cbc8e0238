"""The wheel, installed and used where there is no source tree."""

import json
import os
import pathlib
import shutil
import subprocess
import zipfile

import pytest

from tests.support import process_guests
from tests.support import venvs
from tests.support import waiting

ROOT = pathlib.Path(__file__).parents[2]
# What a clone does not have, or not only.
NOT_SOURCE = ('.*', '*.egg-info', 'build', 'dist', '__pycache__')


@pytest.fixture(scope='session')
def wheel(tmp_path_factory):
    """Built as the installation page says, from a copy of the tree."""
    folder = tmp_path_factory.mktemp('wheel')
    shutil.copytree(ROOT, folder / 'source',
                    ignore=shutil.ignore_patterns(*NOT_SOURCE))
    return venvs.build(folder / 'source', folder)


@pytest.fixture(scope='session')
def prefix(wheel, tmp_path_factory):
    """A venv that holds the wheel."""
    folder = tmp_path_factory.mktemp('prefix')
    venvs.create(folder, wheel)
    return folder


class Installed:
    """The programs of the wheel, run in an empty directory."""

    def __init__(self, folder, prefix):
        self.folder = folder
        self.bin = prefix / 'bin'
        self.work = folder / 'work'
        self.work.mkdir()
        self.environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith(('PYTHON', 'OS_', 'COMPUTED_'))}

    def run(self, program, *words):
        """What a program prints; it must succeed."""
        done = subprocess.run(
            [self.bin / program, *words], cwd=self.work, timeout=60,
            env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def manage(self, *words):
        return self.run('computed-manage', '--state-path', 'state', *words)

    def clean_up(self):
        process_guests.kill_guests(self.folder)


@pytest.fixture
def installed(tmp_path, prefix):
    found = Installed(tmp_path, prefix)
    yield found
    found.clean_up()


def test_only_computed_is_in_the_wheel(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    version = wheel.name.split('-')[1]
    assert {name.split('/')[0] for name in names} == {
        'computed', f'computed-{version}.dist-info'}
    packed = {name for name in names if name.startswith('computed/')}
    code = {path.relative_to(ROOT).as_posix()
            for path in (ROOT / 'computed').rglob('*')
            if path.is_file() and '__pycache__' not in path.parts}
    assert packed == code
    assert {'computed/py.typed',
            'computed/db/cell/migrations/script.py.mako'} <= packed


def test_the_code_that_runs_is_that_of_the_wheel(installed, prefix):
    said = installed.run('python', '-c', 'import computed\n'
                         'print(computed.__file__)')
    assert said.startswith(str(venvs.packages(prefix)))


def test_the_schema_is_made_without_a_source_tree(installed):
    assert 'was missing and is now' in installed.manage('db', 'sync')
    assert 'which is the newest' in installed.manage('db', 'sync')
    shown = json.loads(installed.manage('db', 'version', '-f', 'json'))
    assert shown['version'] == shown['newest']


@pytest.mark.parametrize('program', [
    'computed', 'computed-conductor', 'computed-manage'])
def test_programs_explain_themselves(installed, program):
    assert '--state-path' in installed.run(program, '--help')


def test_the_sample_configuration_can_be_made(installed):
    namespaces = ['computed', 'oslo.db', 'oslo.log', 'oslo.messaging']
    said = subprocess.run(
        [installed.bin / 'python', '-c',
         'import sys; from oslo_config import generator; '
         'sys.exit(generator.main())',
         *(word for name in namespaces for word in ('--namespace', name))],
        cwd=installed.work, env=installed.environment, check=True,
        capture_output=True, text=True).stdout
    assert '#sync_power_state_interval = 600' in said


def test_a_whole_host_runs_from_an_empty_directory(installed):
    log = installed.folder / 'log'
    with open(log, 'w') as stream:
        daemon = subprocess.Popen(
            [installed.bin / 'computed', '--state-path', 'state'],
            cwd=installed.work, env=installed.environment, stdout=stream,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        waiting.wait_for(lambda: 'Next, in another terminal' in
                         log.read_text() or daemon.poll() is not None, 30)
        shown = json.loads(installed.manage(
            'instance', 'create', 'web', '--command', 'sleep 1000',
            '--wait', '-f', 'json'))
        assert (shown['vm_state'], shown['power_state']) == (
            'active', 'RUNNING')
        installed.manage('instance', 'delete', 'web', '--wait')
    finally:
        daemon.terminate()
        status = daemon.wait(60)
    assert status == 0, log.read_text()
    # Whatever ran, it ran the wheel's code.
    assert str(ROOT) not in log.read_text()
