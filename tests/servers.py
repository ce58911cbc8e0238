"""Private MariaDB servers on loopback, in a folder that is thrown away."""

import contextlib
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess

import pymysql
import pytest

from tests import waiting

# An ordinary user's PATH has no sbin, and servers live there.
PATH = os.environ.get('PATH', os.defpath) + ':/usr/sbin:/sbin'

# Safe from a killed server, not from a power cut: nothing is synced to disk.
SMALL_AND_QUICK = (
    '--innodb-log-file-size=8M', '--innodb-buffer-pool-size=64M',
    '--innodb-flush-log-at-trx-commit=2', '--innodb-flush-method=nosync',
    '--skip-innodb-doublewrite', '--innodb-use-native-aio=0')

ACCOUNTS = (
    "CREATE USER repl@'127.0.0.1' IDENTIFIED BY 'repl'",
    "GRANT REPLICATION SLAVE ON *.* TO repl@'127.0.0.1'",
    # each test has a database of its own: computed_1, computed_2, ...
    "CREATE USER computed@'127.0.0.1' IDENTIFIED BY 'computed'",
    "GRANT ALL ON `computed%`.* TO computed@'127.0.0.1'",
    "CREATE USER computed_ro@'127.0.0.1' IDENTIFIED BY 'computed_ro'",
    "GRANT SELECT ON `computed%`.* TO computed_ro@'127.0.0.1'",
    'CREATE DATABASE computed')


def program(name):
    """The path of a program; without it the test is skipped.

    With CI=true the test fails instead: there nothing may go unproved.
    """
    if path := shutil.which(name, path=PATH):
        return path
    reason = f'{name} is not installed (make integration installs it)'
    if os.environ.get('CI') == 'true':
        pytest.fail(reason, pytrace=False)
    return pytest.skip(reason)


def free_port():
    """A free TCP port that no outgoing connection can take meanwhile.

    The kernel gives those ports of a range of its own; a server that was
    killed must find its port free when it comes back.
    """
    limits = pathlib.Path('/proc/sys/net/ipv4/ip_local_port_range')
    lowest = int(limits.read_text().split()[0])
    ports = range(max(lowest - 12000, 1024), max(lowest, 1025))
    while True:
        port = random.choice(ports)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(('127.0.0.1', port))
            return port


def install_mariadb(folder):
    """Make the data folder of a new server: half a second.

    Copying it is twenty times as quick, so a session makes one.
    """
    # root has no password: only by the socket, never by the network
    socket_only = folder.with_suffix('.sql')
    socket_only.write_text("DELETE FROM mysql.global_priv"
                           " WHERE Host <> 'localhost' OR User = '';\n")
    installed = subprocess.run(
        [program('mariadb-install-db'), '--no-defaults',
         f'--datadir={folder}', '--auth-root-authentication-method=normal',
         '--skip-test-db', f'--extra-file={socket_only}', *SMALL_AND_QUICK,
         *_as_root()],
        env=os.environ | {'PATH': PATH}, capture_output=True, text=True)
    if installed.returncode:
        raise AssertionError('mariadb-install-db: ' + installed.stderr[-2000:])


def _as_root():
    """mariadbd refuses to run as root unless it is told so."""
    return ['--user=root'] if os.getuid() == 0 else []


class MariaDB:
    """One server, stopped until :meth:`start`.

    Root comes in by the socket only, which lies in a private folder.
    """

    def __init__(self, folder, installed, server_id, *options):
        """:param installed: what :func:`install_mariadb` made, copied"""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o700)
        shutil.copytree(installed, self.folder / 'data')
        self.port = free_port()
        self.process = None
        self._socket = str(self.folder / 'socket')
        self._log = self.folder / 'log'
        self._command = [
            # the server must not outlive a killed test run
            program('setpriv'), '--pdeathsig=KILL', program('mariadbd'),
            '--no-defaults', f'--datadir={self.folder}/data',
            f'--socket={self._socket}', f'--pid-file={self.folder}/pid',
            f'--tmpdir={self.folder}', f'--port={self.port}',
            '--bind-address=127.0.0.1', '--skip-name-resolve',
            f'--server-id={server_id}', '--log-bin=binlog',
            '--binlog-format=ROW', '--log-slave-updates',
            '--gtid-strict-mode=ON', '--sync-binlog=0',
            '--character-set-server=utf8mb4', '--log-output=TABLE',
            *SMALL_AND_QUICK, *_as_root(), *options]

    def launch(self):
        """Start without waiting, so that several can start side by side.

        Call it from the main thread: the kernel kills the server when the
        thread that launched it ends.
        """
        with self._log.open('a') as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)

    def start(self):
        """Start, on the same port as before, and wait until it answers."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self, seconds=30):
        waiting.wait_for(self._answers, seconds, f'MariaDB {self.folder}')

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f'mariadbd ended with '
                                 f'{self.process.returncode}:\n{self.log()}')
        try:
            self.sql('SELECT 1')
        except pymysql.err.OperationalError:
            return False
        return True

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
        self.thaw()
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        """As a crash would."""
        self.process.kill()
        self.process.wait()

    def freeze(self):
        """Keep every connection open and answer none."""
        self.process.send_signal(signal.SIGSTOP)
        # On a busy machine a thread may go on for a moment.
        waiting.wait_for(self._is_frozen, 10, 'every thread to stop')

    def _is_frozen(self):
        return all(path.read_text().rsplit(')', 1)[1].split()[0] == 'T'
                   for path in pathlib.Path(
                       f'/proc/{self.process.pid}/task').glob('*/stat'))

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def url(self, user='computed', database='computed'):
        """For SQLAlchemy; users: computed, computed_ro (may only SELECT)."""
        return (f'mysql+pymysql://{user}:{user}@127.0.0.1:{self.port}'
                f'/{database}?charset=utf8mb4')

    def sql(self, *statements):
        """Run statements as root; return the rows of the last one."""
        # preparing for TLS would take 20 ms each time
        connection = pymysql.connect(
            unix_socket=self._socket, user='root', autocommit=True,
            ssl_disabled=True, connect_timeout=5, read_timeout=60)
        with contextlib.closing(connection), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def follow(self, primary):
        """Replicate from ``primary``, from its very first transaction."""
        self.sql("CHANGE MASTER TO master_host='127.0.0.1', "
                 f'master_port={primary.port}, '
                 "master_user='repl', master_password='repl', "
                 'master_connect_retry=1, master_use_gtid=slave_pos',
                 'START SLAVE')

    def caught_up(self, primary, seconds=10):
        """Wait until all that ``primary`` has committed is here."""
        [[position]] = primary.sql('SELECT @@gtid_binlog_pos')
        [[result]] = self.sql(
            f"SELECT master_gtid_wait('{position}', {seconds})")
        if result != 0:
            status = self.sql('SHOW SLAVE STATUS')
            raise AssertionError(f'not at {position} within {seconds} s: '
                                 f'{status}')

    def stop_sql_thread(self):
        """Receive and do not apply: the data grow stale."""
        self.sql('STOP SLAVE SQL_THREAD')

    def start_sql_thread(self):
        self.sql('START SLAVE SQL_THREAD')

    def clear_log(self):
        """Forget the logged statements, and log from now on."""
        # not in the binary log: a replica has no transactions of its own
        self.sql('SET sql_log_bin=0', 'SET GLOBAL general_log=ON',
                 'TRUNCATE mysql.general_log')

    def stop_log(self):
        self.sql('SET GLOBAL general_log=OFF')

    def statements(self, user='computed'):
        """What ``user`` did since :meth:`clear_log`, in order.

        :returns: ``[(thread_id, command_type, argument)]``; the types are
            'Connect', 'Query', 'Prepare', 'Execute', 'Quit' ...
        """
        return self.sql(
            'SELECT thread_id, command_type, argument'
            ' FROM mysql.general_log'
            f" WHERE SUBSTRING_INDEX(user_host, '[', 1) = '{user}'")


@dataclasses.dataclass
class Cluster:
    """A primary and its replicas."""

    primary: MariaDB
    replicas: list[MariaDB]

    @property
    def servers(self):
        return [self.primary, *self.replicas]

    def start(self):
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait_until_ready()
        self.primary.sql(*ACCOUNTS)
        for replica in self.replicas:
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
            else:
                server.start()
            server.stop_log()
        for replica in self.replicas:
            replica.sql('START SLAVE')
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

    def caught_up(self):
        self.cluster.caught_up()
