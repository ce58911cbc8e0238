"""Two commands side by side, as ``make test`` runs lint beside the tests."""

import os
import pathlib
import signal
import subprocess
import sys

import psutil
import pytest

from tests.support import waiting

SCRIPT = pathlib.Path(__file__).parents[3] / 'tools/beside.py'


def start(short, long):
    return subprocess.Popen(
        [sys.executable, '-P', SCRIPT, short, long], text=True,
        stdout=subprocess.PIPE, start_new_session=True,
        # a shell without job control ignores it in what runs beside
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


@pytest.mark.parametrize('short, long, status', [
    ('true', 'true', 0), ('exit 3', 'true', 3), ('true', 'exit 4', 4),
    ('exit 3', 'exit 4', 4)])
def test_it_fails_if_either_fails(short, long, status):
    process = start(short, long)
    process.communicate()
    assert process.returncode == status


def test_what_the_short_one_writes_appears_in_one_piece(tmp_path):
    """It ends first, and each writes between two lines of the other."""
    def turns(text, *numbers):
        return ''.join(
            f'until [ -e {tmp_path}/{number} ]; do sleep 0.01; done; '
            f'echo {text}; touch {tmp_path}/{number + 1}; '
            for number in numbers)
    (tmp_path / '1').touch()
    process = start(turns('short', 2, 4), turns('long', 1, 3, 5))
    said = process.communicate()[0].split()
    assert said[:2] == ['long', 'long']
    assert 'short short' in ' '.join(said)
    assert sorted(said) == ['long'] * 3 + ['short'] * 2


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_what_is_interrupted_leaves_nothing_behind(number):
    process = start('sleep 1001 & sleep 1002; true', 'exec sleep 1003')
    own = psutil.Process(process.pid)
    found = waiting.wait_for(
        lambda: len(all_ := own.children(recursive=True)) == 4 and all_)
    if number == signal.SIGINT:     # as a terminal sends it
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    left = psutil.wait_procs(found, 60)[1]
    for one in left:
        one.kill()
    process.communicate()
    assert (left, process.returncode) == ([], number)
