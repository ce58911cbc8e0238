"""Install the example package in a venv and use it with the programs."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.functional import test_programs
from tests.support import fixtures
from tests.support import venvs
from tests.support import waiting

ROOT = pathlib.Path(__file__).parents[2]
NAME = 'computed-example'
CONFIG = """
[virt]
driver = paper
[paper]
vcpus = 12
[tasks]
check_free_disk_interval = {interval}
free_disk_minimum_gb = 1000000
"""


@pytest.fixture(scope='session')
def python(tmp_path_factory):
    """Return the Python of a venv with the example and this computed."""
    folder = tmp_path_factory.mktemp('example')
    shutil.copytree(ROOT / 'examples' / NAME, folder / 'source')
    venvs.create(folder / 'venv', venvs.build(folder / 'source', folder),
                 ROOT)
    return folder / 'venv' / 'bin' / 'python'


@pytest.fixture
def standalone(python, tmp_path):
    """Return a computed with the example installed; it is not started."""
    found = test_programs.Standalone(tmp_path, python)
    found.config.write_text(CONFIG.format(interval=1))
    yield found
    if found.program is not None:
        found.clean_up()


def test_it_is_installed_there_and_nowhere_else(python):
    for other, status in ((python, 0), (sys.executable, 1)):
        done = subprocess.run([other, '-c', 'import computed_example'],
                              cwd='/', capture_output=True, text=True)
        assert done.returncode == status, done.stderr


def task(standalone, fresh=False):
    """Return what the host reports about the example's task.

    :param fresh: ask where the example is installed, too
    """
    listed = json.loads(standalone.manage(
        'task', 'list', '--long', '-f', 'json', fresh=fresh).stdout)
    [found] = [one for one in listed if one['name'] == '_check_free_disk']
    assert listed[-1] == found      # after the built-in ones
    return found


def test_its_task_runs_and_its_driver_is_used(standalone):
    standalone.start()
    assert task(standalone, fresh=True)['spacing'] == 1
    waiting.wait_for(lambda: task(standalone)['outcome'] == 'ok', 20)
    assert task(standalone)['candidates'] == 1
    record = json.loads(standalone.manage(
        'task', 'run', '_check_free_disk', '-f', 'json').stdout)
    assert (record['outcome'], record['candidates']) == ('ok', 1)
    assert record['note'].endswith('GB are free')
    shown = json.loads(standalone.manage(
        'task', 'show', '_check_free_disk', '-f', 'json').stdout)
    assert shown['runs'] >= 2
    assert 'less than 1000000.' in standalone.program.output()

    standalone.manage('instance', 'create', 'web', '--command', 'anything',
                      '--wait')
    [guest] = (standalone.state / 'paper').iterdir()
    assert standalone.manage('instance', 'log', 'web').stdout.strip() == (
        'anything')
    standalone.manage('instance', 'stop', 'web', '--wait')
    assert json.loads(guest.read_text())['power_state'] == 4
    assert fixtures.SqlitePair.sql(
        standalone.state / 'computed.sqlite',
        'SELECT hypervisor_type, vcpus FROM compute_nodes') == [('paper', 12)]
    # The task finds a change that the driver did not make.
    guest.write_text(guest.read_text().replace(
        '"power_state": 4', '"power_state": 1'))
    standalone.manage('task', 'run', '_sync_power_states')
    assert json.loads(guest.read_text())['power_state'] == 4

    standalone.config.write_text(CONFIG.format(interval=44))
    standalone.program.process.send_signal(test_programs.signal.SIGHUP)
    standalone.program.wait_for_output('Configuration reloaded.')
    assert task(standalone)['spacing'] == 44


def refusal(standalone, **environment):
    """Return the one line that the daemon prints before it ends."""
    done = subprocess.run(
        [standalone.python, '-P', '-m', 'computed.cmd.computed',
         *standalone.arguments], capture_output=True, text=True, timeout=30,
        env={**os.environ, **environment})
    assert done.returncode == 1
    assert done.stderr.count('\n') == 1, done.stderr
    # It did not even start the conductor.
    assert not (standalone.state / 'computed.sqlite').exists()
    return done.stderr


def test_a_bad_interval_of_its_task_is_refused(standalone):
    standalone.config.write_text(CONFIG.format(interval=-1))
    assert '[tasks] check_free_disk_interval = -1: an interval' in refusal(
        standalone)


def test_a_second_package_with_the_same_task_is_refused(standalone, tmp_path):
    twin = tmp_path / 'twin' / 'twin-2.0.dist-info'
    twin.mkdir(parents=True)
    (twin / 'METADATA').write_text('Name: twin\nVersion: 2.0\n')
    (twin / 'entry_points.txt').write_text(
        '[computed.tasks]\n_check_free_disk = twin:task\n')
    line = refusal(standalone, PYTHONPATH=str(twin.parent))
    assert 'computed-example 1.0 and twin 2.0 provide _check_free_disk' in (
        line)


def test_its_own_tests_pass_as_its_readme_says(python, tmp_path):
    """They include the tests that every driver must pass."""
    done = subprocess.run(
        [python, '-P', '-m', 'pytest', '-p', 'no:cacheprovider',
         f'--basetemp={tmp_path / NAME}', 'test_computed_example.py'],
        cwd=ROOT / 'examples' / NAME,
        env={**os.environ, 'PYTHONPATH': '../..',
             'PYTHONDONTWRITEBYTECODE': '1'},
        capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_options_are_shown_by_the_generator(python):
    sample = subprocess.run(
        [python, '-P', '-m', 'oslo_config.generator', '--namespace',
         'computed_example'], capture_output=True, text=True,
        check=True).stdout
    assert '[tasks]' in sample
    assert '#check_free_disk_interval = 300' in sample
