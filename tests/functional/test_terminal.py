"""A terminal that is closed under the programs that it controls."""

import contextlib
import os
import pty
import select
import subprocess
import sys

import psutil
import pytest

from tests.functional import test_programs
from tests.support import process_guests
from tests.support import waiting

READY = 'Next, in another terminal'
# The program leads the session, or a shell does, as with `make run`.
LEADERS = {'program': [], 'shell': ['sh', '-c', '"$@"; exit $?', 'sh']}


class Terminal:
    """A terminal of its own, and the first program on it."""

    def __init__(self, command):
        self._master, slave = pty.openpty()
        # setsid -c: a session of its own, controlled by its standard input
        self.process = subprocess.Popen(
            ['setsid', '--ctty', *command], stdin=slave, stdout=slave,
            stderr=slave)
        os.close(slave)
        self._said = ''

    def said(self):
        with contextlib.suppress(OSError):      # nobody writes any more
            while select.select([self._master], [], [], 0)[0]:
                self._said += os.read(self._master, 4096).decode()
        return self._said

    def close(self):
        os.close(self._master)


@pytest.fixture
def site(tmp_path):
    found = test_programs.Standalone(tmp_path)
    yield found
    for process in psutil.process_iter(['environ', 'cmdline']):
        if str(found.state) in ' '.join(process.info['cmdline'] or ()):
            process.kill()
    process_guests.kill_guests(found.state)


@pytest.mark.parametrize('leader', ['program', 'shell'])
def test_a_service_ends_in_order_if_its_terminal_is_closed(site, leader):
    terminal = Terminal([
        *LEADERS[leader], sys.executable, '-P', '-m',
        'computed.cmd.computed', *site.arguments])
    waiting.wait_for(lambda: READY in terminal.said(), 20, terminal.said())
    site.manage('instance', 'create', 'web', '--command', 'sleep 1000',
                '--wait')
    guest = site.show()['pid']
    host = psutil.Process(int((site.state / 'computed.lock').read_text()))
    conductor, = [child for child in host.children()
                  if 'computed.cmd.conductor' in child.cmdline()]
    terminal.close()
    waiting.wait_for(lambda: terminal.process.poll() is not None, 20,
                     'the end of the first program')
    waiting.wait_for(lambda: not host.is_running(), 20, 'the end of the host')
    assert not conductor.is_running()
    if leader == 'program':
        assert terminal.process.returncode == 0
    assert psutil.pid_exists(guest)
    site.start()
    assert site.show()['pid'] == guest
    site.manage('instance', 'delete', 'web', '--wait')
    assert site.program.end() == 0
