"""A run of the tests leaves nothing, or fails and says what it left."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from tests.servers import remains
from tests.support import scratch

ROOT = pathlib.Path(__file__).parents[2]

CLEAN = 'def test_clean(tmp_path):\n    (tmp_path / "a").touch()\n'
LEAVES = """
import pathlib
import subprocess
import tempfile

from tests.servers import remains

def test_process():
    subprocess.Popen(['sleep', '1000'], start_new_session=True)

def test_file():
    tempfile.mkdtemp(prefix='left-')

def test_segment():
    made = subprocess.Popen(['ipcmk', '--shmem', '56'])
    made.wait()
    remains.note(made.pid)

def test_faketime():
    killed = subprocess.Popen(['sleep', '1000'])
    remains.note(killed.pid)
    for path in remains.FAKETIME:
        pathlib.Path(path.format(killed.pid)).touch()
    killed.kill()
    killed.wait()
"""
WAITS = """
import signal
import subprocess

def test_it():
    subprocess.Popen(['sleep', '1000'], start_new_session=True)
    print('up', flush=True)
    signal.pause()
"""
RED = 'def test_red():\n    assert False\n'


@pytest.fixture
def run(tmp_path):
    """Return a function that runs tests as a user does, in a folder."""
    parent = tmp_path / 'parent'
    parent.mkdir()
    environment = {name: value for name, value in os.environ.items()
                   if name != scratch.FOLDER and 'PYTEST' not in name}

    def run(tests, *options, on_start=lambda process: None):
        path = tmp_path / 'test_one.py'
        path.write_text(tests)
        process = subprocess.Popen(
            [sys.executable, '-P', '-m', 'pytest', '-p', 'tests.conftest',
             '-p', 'no:cacheprovider', f'--rootdir={tmp_path}', *options,
             path], text=True, cwd=tmp_path, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={
                **environment, 'TMPDIR': str(parent),
                'PYTHONPATH': str(ROOT)})
        on_start(process)
        output = process.communicate()[0]
        return subprocess.CompletedProcess([], process.returncode, output)
    run.parent = parent
    return run


@pytest.mark.parametrize('options', [[], ['-n2']])
def test_a_run_that_left_nothing_removes_its_folder(run, options):
    done = run(CLEAN, *options)
    assert (done.returncode, list(run.parent.iterdir())) == (0, []), (
        done.stdout)


def test_a_run_that_left_something_fails_and_removes_it(run):
    done = run(LEAVES)
    assert (done.returncode, '4 passed' in done.stdout) == (1, True), (
        done.stdout)
    told = done.stdout.split('left by this run')[1].splitlines()
    process, segment, *files, folder = [
        line for line in told if line.startswith(
            ('process', 'segment', '/dev/shm', 'file '))]
    assert process.endswith('sleep 1000')
    assert not os.path.exists(f'/proc/{process.split()[1].rstrip(":")}')
    assert remains.segments(segment.split()[-1]) == []
    assert len(files) == 2 and not any(map(os.path.exists, files))
    assert '/left-' in folder


def test_a_run_that_is_told_to_end_leaves_nothing_that_runs(run):
    def terminate(process):
        while 'up' not in process.stdout.readline():
            assert process.poll() is None
        process.terminate()
    done = run(WAITS, '-s', on_start=terminate)
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    [pid] = re.findall('^process ([0-9]+): sleep 1000$', done.stdout, re.M)
    assert not os.path.exists(f'/proc/{pid}')


def test_a_run_frees_what_killed_runs_left(run):
    killed = run.parent / f'{scratch.PREFIX}killed'
    killed.mkdir()
    made = subprocess.Popen(['ipcmk', '--shmem', '56'],
                            stdout=subprocess.DEVNULL)
    made.wait()
    assert remains.segments(made.pid)
    (killed / remains.NOTES).write_text(f'{made.pid}\n')
    run(CLEAN)
    assert remains.segments(made.pid) == []


def test_only_the_last_runs_that_failed_keep_their_files(run):
    for number in range(scratch.KEPT + 1):
        (run.parent / f'{scratch.PREFIX}{number}').mkdir()
        os.utime(run.parent / f'{scratch.PREFIX}{number}', (number, number))
    done = run(RED)
    kept = pathlib.Path(done.stdout.split('files of this run: ')[1].split()[0])
    assert sorted(run.parent.iterdir()) == sorted([kept, *(
        run.parent / f'{scratch.PREFIX}{number}'
        for number in range(1, scratch.KEPT + 1))])
