"""Signals to the programs: what they do, and which comes first."""

import json
import os
import pathlib
import signal
import socket

import psutil
import pytest

from tests.functional import test_programs
from tests.support import fixtures
from tests.support import prefork
from tests.support import waiting

standalone = test_programs.standalone
started = test_programs.started
lasting = test_programs.lasting

RELOADED = 'Configuration reloaded.'


class Systemd:
    """Listens to what a program tells systemd."""

    def __init__(self, folder):
        self.path = str(folder / 'notify')
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.setblocking(False)
        self._told = []

    def told(self):
        """Everything that was told so far, as one text."""
        try:
            while True:
                self._told.append(self.sock.recv(4096).decode())
        except BlockingIOError:
            return '\n'.join(self._told)


@pytest.fixture
def systemd(tmp_path):
    found = Systemd(tmp_path)
    yield found
    found.sock.close()


@pytest.fixture
def alone(tmp_path, systemd):
    """A host whose conductor is not there."""
    arguments = fixtures.write_config(tmp_path / 'computed.conf', {})
    program = fixtures.Program('computed', tmp_path, *arguments,
                               NOTIFY_SOCKET=systemd.path)
    program.wait_for_output('Waiting: ')
    yield program
    program.end()


def test_the_end_comes_before_reloads(standalone):
    process = standalone.program.process
    for _ in range(5000):
        process.send_signal(signal.SIGHUP)
    # Stopped, it does no more of them between the count and the end.
    process.send_signal(signal.SIGSTOP)
    waiting.wait_for(lambda: psutil.Process(process.pid).status() ==
                     psutil.STATUS_STOPPED)
    before = standalone.program.output().count(RELOADED)
    process.terminate()
    process.send_signal(signal.SIGCONT)
    assert standalone.program.end() == 0
    # The host and its conductor: one in progress, one asked for meanwhile.
    after = standalone.program.output().count(RELOADED)
    assert after - before <= 2 * 2


def test_a_reload_is_not_the_end_of_the_start(alone, systemd, tmp_path):
    alone.process.send_signal(signal.SIGHUP)
    alone.wait_for_output(RELOADED)
    waiting.wait_for(lambda: 'STATUS=' in systemd.told(), 10)
    assert 'READY' not in systemd.told()
    assert 'RELOADING' not in systemd.told()
    assert alone.end() == 0
    assert not list(tmp_path.rglob('*compute,*.sock'))
    assert 'READY' not in systemd.told()
    assert systemd.told().count('STOPPING=1') == 1


def test_a_reload_is_told_to_systemd(tmp_path, systemd):
    found = test_programs.Standalone(tmp_path)
    found.start(NOTIFY_SOCKET=systemd.path)
    try:
        waiting.wait_for(lambda: 'READY=1' in systemd.told(), 20)
        found.program.process.send_signal(signal.SIGHUP)
        waiting.wait_for(lambda: systemd.told().count('READY=1') == 2, 20)
        told = systemd.told()
        assert 'RELOADING=1\nMONOTONIC_USEC=' in told
        environment = found.conductor().environ()
        assert 'NOTIFY_SOCKET' not in environment
    finally:
        found.clean_up()


def test_other_signals_do_not_end_a_program(lasting):
    for number, pid in enumerate((lasting.program.process.pid,
                                  lasting.conductor().pid), 1):
        os.kill(pid, signal.SIGUSR1)
        os.kill(pid, signal.SIGUSR2)
        lasting.program.wait_for(
            lambda number=number: lasting.program.output().count(
                'Wrote a report to standard error.') == number, 'a report')
    said = lasting.program.output()
    for text in ('computed-conductor', 'periodic-scheduler', 'unix-accept',
                 'transport_url = ***'):
        assert text in said
    assert json.loads(lasting.manage('host', 'list', '-f', 'json').stdout)


def test_reports_can_go_to_files(tmp_path):
    """Those of one second, too."""
    found = test_programs.Standalone(tmp_path)
    reports = tmp_path / 'reports'
    reports.mkdir()
    found.config.write_text(f'[oslo_reports]\nlog_dir = {reports}\n')
    found.start()
    try:
        for number in range(1, 5):
            found.program.process.send_signal(signal.SIGUSR2)
            found.program.wait_for(
                lambda number=number: found.program.output().count(
                    'Wrote a report to /') == number, 'a report')
        paths = list(reports.iterdir())
        assert len(paths) == 4
        for path in paths:
            assert 'Guru Meditation' in path.read_text()
            assert path.stat().st_mode & 0o077 == 0
    finally:
        found.clean_up()


def status_of(pid):
    return dict(line.split(':\t', 1) for line in pathlib.Path(
        f'/proc/{pid}/status').read_text().splitlines())


def test_no_signal_is_lost_while_a_program_starts(tmp_path):
    """It cannot be told before Python has come to its first line."""
    arguments = fixtures.write_config(tmp_path / 'computed.conf', {})
    program = fixtures.Program('computed', tmp_path, *arguments, fresh=True)

    def survives():
        status = status_of(program.process.pid)
        return (int(status['SigBlk'], 16) | int(status['SigCgt'], 16)) & (
            1 << signal.SIGUSR2 - 1)
    try:
        program.wait_for(survives, 'a program that survives signals')
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            program.process.send_signal(number)
        program.wait_for_output('Wrote a report to standard error.')
        program.wait_for_output(RELOADED)
        assert not int(status_of(program.process.pid)['SigBlk'], 16)
    finally:
        program.end()


def test_a_closed_terminal_ends_a_command(lasting):
    conductor = lasting.conductor()
    conductor.suspend()
    try:
        with open(lasting.folder / 'said', 'w') as said:
            command = prefork.start(
                'computed.cmd.manage',
                [*lasting.arguments, 'instance', 'list'], said, said)
        command.send_signal(signal.SIGHUP)
        assert command.wait(60) == -signal.SIGHUP
    finally:
        conductor.resume()
