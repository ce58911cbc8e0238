"""What private servers on loopback have in common, whatever their make."""

import contextlib
import dataclasses
import glob
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import typing

import psutil
import pytest

from tests.servers import remains
from tests.support import waiting

# An ordinary user's PATH has no sbin, where servers live, nor Debian's
# folder for the newest PostgreSQL.
PATH = ':'.join([
    os.environ.get('PATH', os.defpath), '/usr/sbin', '/sbin',
    *sorted(glob.glob('/usr/lib/postgresql/*/bin'), key=len)[::-1]])


def program(name):
    """The path of a program; without it the test is skipped.

    With CI=true the test fails instead: there nothing may go unproved.
    """
    if path := shutil.which(name, path=PATH):
        return path
    return missing(name)


def missing(name):
    """Skip the test, or fail it in CI, because ``name`` is not installed.
    """
    reason = f'{name} is not installed (make integration installs it)'
    if os.environ.get('CI') == 'true':
        pytest.fail(reason, pytrace=False)
    return pytest.skip(reason)


def free_port():
    """A free TCP port that no outgoing connection can take meanwhile.

    The kernel gives those ports of a range of its own; a server that was
    killed must find its port free when it comes back. Nor does another of
    several test processes choose it.
    """
    limits = pathlib.Path('/proc/sys/net/ipv4/ip_local_port_range')
    lowest = int(limits.read_text().split()[0])
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    ports = range(max(lowest - 12000, 1024), max(lowest, 1025))[
        worker::workers]
    while True:
        port = random.choice(ports)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(('127.0.0.1', port))
            return port


class Server:
    """One server, stopped until :meth:`start`.

    A make of server says how one is connected to (``sql``) and what it is
    started with.
    """

    GENTLY = signal.SIGTERM
    NOT_YET: tuple[type[Exception], ...] = ()
    # How setpriv makes a command the server's user's.
    AS_USER: tuple[str, ...] = ('--keep-groups',)

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o700)
        self.port = free_port()
        self.process = None
        self._log = self.folder / 'log'
        self._command = []
        # What it finds in its environment beside what is in ours.
        self.environment = {}
        self._limited = False

    def launch(self):
        """Start without waiting, so that several can start side by side.

        Call it from the main thread: the kernel kills the server when the
        thread that launched it ends.
        """
        # Only the server itself, not what changes its user before.
        first = self._command.index('--pdeathsig=KILL') + 1
        command = [*self._command[:first], program('env'), *(
            f'{name}={value}' for name, value in self.environment.items()),
            *self._command[first:]]
        with self._log.open('a') as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
                # a write beyond a limit is an error then, and not the end
                restore_signals=False)
        remains.note(self.process.pid)

    def start(self):
        """Start, on the same port as before, and wait until it answers."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self, seconds=20):
        try:
            waiting.wait_for(self._answers, seconds,
                             f'{type(self).__name__} {self.folder}')
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.log()}') from None

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f'the server ended with '
                                 f'{self.process.returncode}:\n{self.log()}')
        try:
            self.sql('SELECT 1')
        except self.NOT_YET:
            return False
        return True

    def sql(self, *statements, database=None):
        """Run statements as the superuser; return the rows of the last one.
        """
        raise NotImplementedError

    def close_sessions(self):
        """Forget the sessions that :meth:`sql` keeps, if it keeps any."""

    def log(self):
        """The end of what the server itself wrote, for a failure."""
        return self._log.read_text(errors='replace')[-4000:]

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=20):
        """End it, gently if it lets us; harmless when it has ended."""
        if not self.is_running:
            return
        self.close_sessions()
        self.thaw()
        self.process.send_signal(self.GENTLY)
        try:
            self.process.wait(seconds * waiting.PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def _all(self):
        # The parent first: stopped, it makes no more children.
        found = psutil.Process(self.process.pid)
        return [found, *found.children(recursive=True)]

    def kill(self):
        """As a crash would. What the kernel keeps for a next start is freed.
        """
        self.close_sessions()
        self.process.send_signal(signal.SIGSTOP)
        found = self._all()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(found[1:], 10 * waiting.PATIENCE)
        remains.free(self.process.pid)

    def freeze(self):
        """Keep every connection open and answer none."""
        self.close_sessions()
        self.process.send_signal(signal.SIGSTOP)
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        # On a busy machine a thread may go on for a moment.
        waiting.wait_for(self._is_frozen, 10, 'every thread to stop')

    def fill_disk(self):
        """Whatever it writes to a file fails, as on a full disk."""
        self._limit_files('1')

    def empty_disk(self):
        if self._limited:
            self._limit_files('unlimited')

    def _limit_files(self, size):
        self._limited = size == '1'
        for process in self._all():
            # Only its own user may, even we as root perhaps not.
            # It may have ended meanwhile.
            subprocess.run([
                program('setpriv'), *self.AS_USER, program('prlimit'),
                f'--pid={process.pid}', f'--fsize={size}:'],
                capture_output=True, check=False)

    def _is_frozen(self):
        return all(path.read_text().rsplit(')', 1)[1].split()[0] in 'TZ'
                   for process in self._all()
                   for path in pathlib.Path(
                       f'/proc/{process.pid}/task').glob('*/stat'))

    def thaw(self):
        for process in reversed(self._all()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


@dataclasses.dataclass
class Cluster:
    """A primary and its replicas."""

    primary: typing.Any
    replicas: list[typing.Any]

    @property
    def servers(self):
        return [self.primary, *self.replicas]

    def start(self):
        for server in self.servers:
            server.launch()
        self.primary.wait_until_ready()
        self.primary.add_accounts()
        for replica in self.replicas:
            replica.wait_until_ready()
            replica.follow(self.primary)
        self.caught_up()

    def stop(self):
        """Replicas first; a server that will not end hinders no other."""
        with contextlib.ExitStack() as stack:
            for server in self.servers:
                stack.callback(server.stop)

    def caught_up(self):
        for replica in self.replicas:
            replica.caught_up(self.primary)

    def mend(self):
        """Undo what a test did to the servers; quick when it did nothing."""
        for server in self.servers:
            if server.is_running:
                server.thaw()
                server.empty_disk()
            else:
                server.start()
            server.stop_log()
        for replica in self.replicas:
            replica.start_applying()
        self.caught_up()


@dataclasses.dataclass
class Database:
    """A database of its own for one test, empty, on the whole cluster."""

    name: str
    cluster: Cluster

    @property
    def url(self):
        """The primary's, for reading and writing."""
        return self.cluster.primary.url(database=self.name)

    @property
    def replica_urls(self):
        """Each replica's, for reading."""
        return [replica.url('computed_ro', self.name)
                for replica in self.cluster.replicas]

    def sql(self, *statements):
        """Run statements in it, on the primary; the rows of the last one."""
        return self.cluster.primary.sql(*statements, database=self.name)

    def caught_up(self):
        self.cluster.caught_up()
