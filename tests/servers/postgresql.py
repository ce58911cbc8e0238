"""A private PostgreSQL server.

It refuses to run as root; then it runs as nobody.
"""

import contextlib
import os
import pwd
import select
import shutil
import signal
import subprocess

import psycopg

from tests.servers import base
from tests.support import waiting

# Safe from a killed server, not from a power cut: nothing is synced to disk.
SETTINGS = {
    'fsync': 'off', 'shared_buffers': '32MB',
    # pg_rewind asks for it
    'wal_log_hints': 'on',
    # a standby that was killed has no more than that to do again
    'checkpoint_timeout': '30s',
    'max_wal_size': '512MB', 'wal_keep_size': '256MB',
    'autovacuum': 'off',
    'wal_retrieve_retry_interval': '100ms',
    # in its folder; what a killed server leaves in /dev/shm stays there
    'dynamic_shared_memory_type': 'mmap',
    'listen_addresses': '127.0.0.1', 'hot_standby': 'on',
    # nothing of the kind is needed, and it takes from the machine
    'max_logical_replication_workers': '0', 'jit': 'off',
    # each statement with who said it, in which session; the separators
    # occur in no statement
    'log_statement': 'all', 'log_disconnections': 'on',
    'log_line_prefix': '\x1e%u\x1f%c\x1f'}

# The superuser comes in by the socket only, which lies in a private folder.
ACCESS = """\
local all         postgres              trust
host  replication repl     127.0.0.1/32 scram-sha-256
host  all         postgres all          reject
host  all         all      127.0.0.1/32 scram-sha-256
"""

ACCOUNTS = (
    "CREATE ROLE repl LOGIN REPLICATION PASSWORD 'repl'",
    "CREATE ROLE computed LOGIN PASSWORD 'computed'",
    "CREATE ROLE computed_ro LOGIN PASSWORD 'computed_ro'",
    'GRANT pg_read_all_data TO computed_ro')


def as_somebody():
    """What to put before a command so that it does not run as root."""
    if os.getuid() != 0:
        return ('--keep-groups',)
    nobody = pwd.getpwnam('nobody')
    return (f'--reuid={nobody.pw_uid}', f'--regid={nobody.pw_gid}',
            '--clear-groups')


def give_away(folder):
    """Let the server's user have ``folder``, where that is another."""
    if os.getuid() == 0:
        nobody = pwd.getpwnam('nobody')
        for path, _, files in os.walk(folder):
            for name in ['', *files]:
                os.chown(os.path.join(path, name), nobody.pw_uid,
                         nobody.pw_gid)


def conninfo(port):
    """How a standby finds its primary."""
    return f'host=127.0.0.1 port={port} user=repl password=repl'


def install_postgresql(folder):
    """Make the data folder of a new server: a second.

    Servers that begin with copies of it may follow one another.
    """
    folder.mkdir(mode=0o700)
    give_away(folder)
    installed = subprocess.run(
        [base.program('setpriv'), *as_somebody(), base.program('initdb'),
         f'--pgdata={folder}', '--username=postgres', '--encoding=UTF8',
         '--locale=C', '--no-sync'],
        capture_output=True, text=True, cwd='/')
    if installed.returncode:
        raise AssertionError('initdb: ' + installed.stderr[-2000:])
    (folder / 'pg_hba.conf').write_text(ACCESS)


class PostgreSQL(base.Server):
    """:ivar standby: whether it follows another server"""

    # Waits for no session; SIGTERM would.
    GENTLY = signal.SIGINT
    AS_USER = as_somebody()
    NOT_YET = (psycopg.OperationalError,)

    def __init__(self, folder, installed, primary=None):
        """
        :param installed: what :func:`install_postgresql` made, copied
        :param primary: the server to follow
        """
        super().__init__(folder)
        self.standby = False
        self._data = data = self.folder / 'data'
        shutil.copytree(installed, data)
        settings = SETTINGS | {
            'port': str(self.port),
            'unix_socket_directories': str(self.folder)}
        if primary is not None:
            self._be_standby(primary)
        give_away(self.folder)
        self._log_begin = 0
        # Sessions of the superuser that are not in use.
        self._sessions = []
        self._command = [
            base.program('setpriv'), *as_somebody(),
            # the server must not outlive a killed test run
            '--pdeathsig=KILL', base.program('postgres'), '-D', str(data),
            *(word for name, value in settings.items()
              for word in ('-c', f'{name}={value}'))]

    def _be_standby(self, primary=None):
        """From the next start on; without a primary, wait for one."""
        self.standby = True
        (self._data / 'standby.signal').touch()
        if primary is not None:
            # where ALTER SYSTEM writes, so that it can be changed
            with (self._data / 'postgresql.auto.conf').open('a') as settings:
                settings.write(
                    f"primary_conninfo = '{conninfo(primary.port)}'\n")

    def url(self, user='computed', database='computed'):
        """For SQLAlchemy; users: computed, computed_ro (may only SELECT)."""
        return (f'postgresql+psycopg://{user}:{user}@127.0.0.1:{self.port}'
                f'/{database}')

    def sql(self, *statements, database=None):
        """Run statements as the superuser; return the rows of the last one.

        To connect takes ten times as long as most statements, so sessions
        are kept.
        """
        with self._session(database or 'postgres') as session:
            with session.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def _session(self, database):
        """A session that is open; it is kept if no error occurs."""
        session = self._kept(database) or psycopg.connect(
            host=str(self.folder), port=self.port, user='postgres',
            dbname=database, autocommit=True, connect_timeout=5,
            prepare_threshold=None)
        try:
            yield session
        except BaseException:
            session.close()
            raise
        self._sessions.append(session)

    def _kept(self, database):
        """Take out a session that the server did not end, or return None."""
        for session in [found for found in self._sessions
                        if found.info.dbname == database]:
            try:
                self._sessions.remove(session)
            except ValueError:
                continue        # another thread has taken it
            # The server says nothing unasked, except that it is over.
            if not select.select([session.fileno()], [], [], 0)[0]:
                return session
            session.close()
        return None

    def close_sessions(self):
        while self._sessions:
            self._sessions.pop().close()

    def add_accounts(self):
        """Give the accounts that :meth:`url` and standbys use."""
        self.sql(*ACCOUNTS)

    def create_database(self, name):
        self.sql(f'CREATE DATABASE {name} OWNER computed')

    def drop_database(self, name):
        self.sql(f'DROP DATABASE {name} WITH (FORCE)')

    def follow(self, primary):
        """It does so from its start on."""

    def received(self):
        """Stop receiving, and return how far it came: a number by which
        standbys are compared. See the one of MariaDB.
        """
        self.stop_receiving()
        [[position]] = self.sql(
            "SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn")
        return position

    def promote(self):
        """Apply what was received, then take writes."""
        assert self.sql('SELECT pg_promote()') == [(True,)]
        self.standby = False

    def follow_instead(self, primary):
        """Follow ``primary``, from where this standby is."""
        self._follow_by(conninfo(primary.port))

    def _follow_by(self, whom):
        self.sql(f"ALTER SYSTEM SET primary_conninfo = '{whom}'",
                 'SELECT pg_reload_conf()')

    def come_back_read_only(self):
        """Start a primary that had been killed, as a standby of nobody:
        so it answers reads and takes no writes.
        """
        self._be_standby()
        give_away(self._data)
        self.start()

    def rejoin(self, primary):
        """A former primary follows; what ``primary`` lacks is undone."""
        self.stop()
        rewound = subprocess.run(
            [base.program('setpriv'), *as_somebody(),
             base.program('pg_rewind'), f'--target-pgdata={self._data}',
             f'--source-server=host={primary.folder} port={primary.port} '
             'user=postgres dbname=postgres', '--no-sync'],
            capture_output=True, text=True, cwd='/')
        if rewound.returncode:
            raise AssertionError('pg_rewind: ' + rewound.stderr[-2000:])
        self._be_standby(primary)
        give_away(self._data)
        self.start()

    def lose_nothing(self, replicas):
        """Acknowledge only what one standby has received."""
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'",
                 'SELECT pg_reload_conf()')
        waiting.wait_for(lambda: self.sql(
            'SELECT count(*) FROM pg_stat_replication'
            " WHERE sync_state = 'quorum'") == [(len(replicas),)])

    def acknowledge_alone(self):
        """End :meth:`lose_nothing`."""
        self.sql('ALTER SYSTEM RESET synchronous_standby_names',
                 'SELECT pg_reload_conf()')

    def commits_waiting(self):
        """How many commits no standby has received yet."""
        return self.sql('SELECT count(*) FROM pg_stat_activity'
                        " WHERE wait_event = 'SyncRep'")[0][0]

    def stop_receiving(self):
        """Be cut off from the primary: nothing of it arrives any more."""
        self._follow_by('')
        waiting.wait_for(lambda: self.sql(
            'SELECT count(*) FROM pg_stat_wal_receiver') == [(0,)])

    def follow_through(self, port):
        """From now on replicate by another way, see ``servers.Proxy``."""
        self._follow_by(conninfo(port))
        waiting.wait_for(lambda: self.sql(
            "SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming' "
            f"AND conninfo LIKE '%port={port} %'"), 10, 'the new way')

    def caught_up(self, primary, seconds=10):
        """Wait until all that ``primary`` has committed is here."""
        # Commit something, for the log may end in the midst of a record
        # that nothing flushes, and no standby ever gets that far.
        [[_, position]] = primary.sql(
            "SELECT set_config('synchronous_commit', 'local', true), "
            "pg_logical_emit_message(true, 'caught up', '')")
        waiting.wait_for(
            lambda: self.sql("SELECT coalesce(pg_last_wal_replay_lsn() >= "
                             f"'{position}', false)") == [(True,)],
            seconds, f'not at {position}')

    def stop_applying(self):
        """Receive and do not apply: the data grow stale."""
        self.sql('SELECT pg_wal_replay_pause()')
        waiting.wait_for(lambda: self.sql(
            'SELECT pg_get_wal_replay_pause_state()') == [('paused',)])

    def start_applying(self):
        self.sql('SELECT pg_wal_replay_resume()')

    def refuse_writes(self):
        """As a primary does that was demoted."""
        self._read_only('on')

    def accept_writes(self):
        self._read_only('off')

    def _read_only(self, value):
        self.sql('ALTER SYSTEM SET default_transaction_read_only = '
                 f'{value}', 'SELECT pg_reload_conf()')
        waiting.wait_for(lambda: self.sql(
            'SHOW default_transaction_read_only') == [(value,)])

    def clear_log(self):
        """Forget the logged statements; they are always logged."""
        self._log_begin = self._log.stat().st_size

    def stop_log(self):
        """For the interface: the log costs too little to be stopped."""

    def statements(self, user='computed'):
        """What ``user`` did since :meth:`clear_log`, in order.

        :returns: ``[(session, kind, text)]``; the kinds are 'Query' and
            'Quit'
        """
        with self._log.open(errors='replace') as log:
            log.seek(self._log_begin)
            entries = log.read().split('\x1e')[1:]
        found = []
        for entry in entries:
            who, session, said = entry.split('\x1f', 2)
            level, _, text = said.partition(':  ')
            kind, _, statement = text.partition(': ')
            if who != user or level != 'LOG':
                continue
            if kind == 'statement' or kind.startswith('execute '):
                found.append((session, 'Query', statement.rstrip('\n')))
            elif kind == 'disconnection':
                found.append((session, 'Quit', ''))
        return found
