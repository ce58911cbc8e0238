"""Programs whose output nobody reads, or cannot be written, work on."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from tests.functional import test_programs
from tests.support import waiting


def full_pipe():
    """A pipe that takes nothing more: its reader has stalled."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b'x' * 4096):
            pass
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b'x'):
            pass
    os.set_blocking(writer, True)
    return [reader], writer


def broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return [], writer


def full_disk():
    return [], os.open('/dev/full', os.O_WRONLY)


class Mute(test_programs.Standalone):
    """One whose output goes where the test says."""

    def start(self, output, folder=None, arguments=None):
        """:param output: a descriptor; None: standard output and standard
            error are closed
        """
        command = [sys.executable, '-P', '-m', 'computed.cmd.computed',
                   *(arguments or self.arguments)]
        if output is None:
            command = ['sh', '-c', 'exec "$@" >&- 2>&-', 'sh', *command]
        # Users have no such variable: what is printed is buffered.
        environment = {name: value for name, value in os.environ.items()
                       if name != 'PYTHONUNBUFFERED'}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            cwd=folder, env=environment)
        self.program = self
        self.wait_until_up()

    def wait_until_up(self):
        def up():
            assert self.process.poll() is None, 'it has ended'
            return self.manage('task', 'list', check=False).returncode == 0
        waiting.wait_for(up, 30, 'a host that answers')

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def clean_up(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        super().clean_up()


@pytest.fixture
def mute(tmp_path):
    found = Mute(tmp_path)
    yield found
    found.clean_up()


@pytest.mark.parametrize(
    'output', [full_pipe, broken_pipe, full_disk, lambda: ([], None)],
    ids=['stalled', 'broken', 'full', 'closed'])
def test_a_program_works_and_ends_although_nobody_hears_it(mute, output):
    others, output = output()
    try:
        mute.start(output)
        mute.manage('instance', 'create', 'web', '--command', 'sleep 1000',
                    '--wait')
        mute.process.send_signal(signal.SIGHUP)
        mute.process.send_signal(signal.SIGUSR2)
        mute.manage('instance', 'stop', 'web', '--wait')
        assert mute.end() == 0
    finally:
        for descriptor in [*others, output]:
            if descriptor is not None:
                os.close(descriptor)


def test_the_end_is_forced_although_the_log_has_stalled(mute):
    [reader], output = full_pipe()
    mute.config.write_text('[DEFAULT]\ngraceful_shutdown_timeout = 1\n'
                           '[virt]\nshutdown_timeout = 600\n')
    try:
        mute.start(output)
        mute.manage('instance', 'create', 'web', '--wait', '--command',
                    'trap "" TERM; while :; do sleep 1; done')
        mute.manage('instance', 'stop', 'web')
        assert mute.end() == 1
    finally:
        os.close(reader)
        os.close(output)


def test_the_folder_in_which_a_program_was_started_may_go(mute, tmp_path):
    folder = tmp_path / 'gone'
    folder.mkdir()
    with open(tmp_path / 'log', 'wb') as log:
        mute.start(log, folder, ['--config-file', '../computed.conf',
                                 '--state-path=../state'])
    shutil.rmtree(folder)
    mute.manage('instance', 'create', 'web', '--command', 'sleep 1000',
                '--wait')
    mute.config.write_text('[tasks]\nsync_power_state_interval = 77\n')
    mute.process.send_signal(signal.SIGHUP)
    waiting.wait_for(
        lambda: mute.spacings()['_sync_power_states'] == 77, 20,
        'the new interval')
    mute.conductor().kill()
    waiting.wait_for(lambda: mute.manage(
        'instance', 'list', check=False).returncode == 0, 20)
    assert mute.end() == 0
    said = (tmp_path / 'log').read_text()
    assert f'--state-path {mute.state}' in said
    assert 'FileNotFoundError' not in said


LOGGING = """
[loggers]
keys = root
[handlers]
keys = file
[formatters]
keys = all
[logger_root]
level = INFO
handlers = file
[handler_file]
class = FileHandler
args = (%r,)
formatter = all
[formatter_all]
format = %%(message)s
"""


def test_a_mistake_in_the_file_of_the_loggers_leaves_the_log_as_it_was(
        tmp_path):
    found, log = test_programs.Standalone(tmp_path), tmp_path / 'log'
    loggers = tmp_path / 'logging.conf'
    loggers.write_text(LOGGING % str(log))
    found.config.write_text(f'[DEFAULT]\nlog_config_append = {loggers}\n')
    found.start()
    process = psutil.Process(found.program.process.pid)

    def reload(text, moment, line):
        loggers.write_text(text)
        os.utime(loggers, (moment, moment))
        before = log.read_text().count(line)
        process.send_signal(signal.SIGHUP)
        waiting.wait_for(lambda: log.read_text().count(line) > before, 20)
        return {thread.id for thread in process.threads()}, process.num_fds()
    try:
        reload(LOGGING % str(log), 1, 'Configuration reloaded.')
        reload(LOGGING % '/missing/log', 2, 'The configuration is left as it')
        _, before = reload(LOGGING % str(log), 3, 'Configuration reloaded.')
        for moment in range(4, 12):
            _, after = reload(LOGGING % str(log), moment,
                              'Configuration reloaded.')
        # A reload may still close what it has used.
        assert after < before + 5
    finally:
        found.clean_up()
