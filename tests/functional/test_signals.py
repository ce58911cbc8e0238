"""Signals to the programs: what they do, and which comes first."""

import json
import os
import signal
import socket

import pytest

from tests.functional import test_programs
from tests.support import fixtures
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
    before = standalone.program.output().count(RELOADED)
    assert standalone.program.end() == 0
    assert standalone.program.output().count(RELOADED) - before <= 2


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


def test_a_report_can_go_to_a_file(tmp_path):
    found = test_programs.Standalone(tmp_path)
    reports = tmp_path / 'reports'
    reports.mkdir()
    found.config.write_text(f'[oslo_reports]\nlog_dir = {reports}\n')
    found.start()
    try:
        found.program.process.send_signal(signal.SIGUSR2)
        found.program.wait_for_output('Wrote a report to /')
        [path] = reports.iterdir()
        assert 'Guru Meditation' in path.read_text()
        assert path.stat().st_mode & 0o077 == 0
    finally:
        found.clean_up()
