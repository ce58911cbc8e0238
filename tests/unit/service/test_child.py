"""The conductor of a standalone host: how it is started, and again."""

import errno
import subprocess
import sys
import threading

from computed.service import child
from tests.support.waiting import wait_for


def test_a_conductor_for_which_there_is_no_process_is_tried_again(
        monkeypatch):
    monkeypatch.setattr(child, 'SHORTEST', 0.01)
    failures = []
    found = child.ConductorChild([], failures.append)
    # One that lives for as long as its parent lets it.
    found._command = [sys.executable, '-c', 'input()']
    found.start()
    real, refused = subprocess.Popen, []

    def full(*args, **kwargs):
        if len(refused) < 2:
            refused.append(args)
            raise BlockingIOError(errno.EAGAIN, 'no process to be had')
        return real(*args, **kwargs)
    monkeypatch.setattr(subprocess, 'Popen', full)
    before = found._process
    before.kill()
    wait_for(lambda: found._process is not before, 10, 'another conductor')
    assert len(refused) == 2
    assert found._process.poll() is None
    assert failures == []
    found.stop()
    wait_for(lambda: not any(thread.name == 'conductor child'
                             for thread in threading.enumerate()))


def test_modules_of_the_current_folder_are_not_run(tmp_path):
    for name in ('computed', 'oslo_config', 'secrets', 'sqlite3'):
        (tmp_path / f'{name}.py').write_text(f'print("{name} was run")\n')
    found = child.ConductorChild(['--version'], print)
    done = subprocess.run(found._command, cwd=tmp_path, text=True,
                          capture_output=True, timeout=360)
    assert (done.returncode, done.stderr) == (0, '')
    assert 'was run' not in done.stdout


def test_a_reload_does_not_end_a_conductor_that_starts(tmp_path):
    failures = []
    found = child.ConductorChild(
        ['--config-file', str(tmp_path / 'missing')], failures.append)
    found.start()
    first = found._process
    found.reload()      # its Python has not handled any signal yet
    wait_for(lambda: failures, 30, 'the end of the conductor')
    assert first.returncode == child.CANNOT_START
    assert found._process is first
    found.stop()
