"""A private MariaDB server."""

import contextlib
import os
import shutil
import subprocess

import pymysql
import pymysql.cursors

from tests.servers import base
from tests.support import waiting

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


def install_mariadb(folder):
    """Make the data folder of a new server: half a second.

    Copying it is twenty times as quick, so a session makes one.
    """
    # root has no password: only by the socket, never by the network
    socket_only = folder.with_suffix('.sql')
    socket_only.write_text("DELETE FROM mysql.global_priv"
                           " WHERE Host <> 'localhost' OR User = '';\n")
    installed = subprocess.run(
        [base.program('mariadb-install-db'), '--no-defaults',
         f'--datadir={folder}', '--auth-root-authentication-method=normal',
         '--skip-test-db', f'--extra-file={socket_only}', *SMALL_AND_QUICK,
         *_as_root()],
        env=os.environ | {'PATH': base.PATH}, capture_output=True, text=True)
    if installed.returncode:
        raise AssertionError('mariadb-install-db: ' + installed.stderr[-2000:])


def _as_root():
    """mariadbd refuses to run as root unless it is told so."""
    return ['--user=root'] if os.getuid() == 0 else []


class MariaDB(base.Server):
    """Root comes in by the socket only, which lies in a private folder."""

    NOT_YET = (pymysql.err.OperationalError,)

    def __init__(self, folder, installed, server_id, *options):
        """:param installed: what :func:`install_mariadb` made, copied"""
        super().__init__(folder)
        shutil.copytree(installed, self.folder / 'data')
        self._socket = str(self.folder / 'socket')
        self._command = [
            # the server must not outlive a killed test run
            base.program('setpriv'), '--pdeathsig=KILL',
            base.program('mariadbd'),
            '--no-defaults', f'--datadir={self.folder}/data',
            f'--socket={self._socket}', f'--pid-file={self.folder}/pid',
            f'--tmpdir={self.folder}', f'--port={self.port}',
            '--bind-address=127.0.0.1', '--skip-name-resolve',
            f'--server-id={server_id}', '--log-bin=binlog',
            '--binlog-format=ROW', '--log-slave-updates',
            '--gtid-strict-mode=ON', '--sync-binlog=0',
            '--character-set-server=utf8mb4', '--log-output=TABLE',
            *SMALL_AND_QUICK, *_as_root(), *options]

    def url(self, user='computed', database='computed'):
        """For SQLAlchemy; users: computed, computed_ro (may only SELECT)."""
        return (f'mysql+pymysql://{user}:{user}@127.0.0.1:{self.port}'
                f'/{database}?charset=utf8mb4')

    def sql(self, *statements, database=None, as_dicts=False):
        """Run statements as root; return the rows of the last one."""
        connection = self.connect(database)
        kind = pymysql.cursors.DictCursor if as_dicts else None
        with contextlib.closing(connection), connection.cursor(
                kind) as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def connect(self, database=None):
        """A session of root."""
        # preparing for TLS would take 20 ms each time
        return pymysql.connect(
            unix_socket=self._socket, user='root', autocommit=True,
            database=database,
            ssl_disabled=True, connect_timeout=5, read_timeout=60)

    def add_accounts(self):
        """Give the accounts that :meth:`url` and replicas use."""
        self.sql(*ACCOUNTS)

    def create_database(self, name):
        self.sql(f'CREATE DATABASE {name}')

    def drop_database(self, name):
        self.sql(f'DROP DATABASE {name}')

    def follow(self, primary):
        """Replicate from ``primary``, from its very first transaction."""
        self.sql('CHANGE MASTER TO ' + self._whom(primary), 'START SLAVE')

    @staticmethod
    def _whom(primary):
        return ("master_host='127.0.0.1', "
                f'master_port={primary.port}, '
                "master_user='repl', master_password='repl', "
                'master_connect_retry=1, master_use_gtid=slave_pos')

    def _as_replica(self):
        [found] = self.sql('SHOW SLAVE STATUS', as_dicts=True)
        return found

    def received(self):
        """Stop receiving, and return how far it came: a number by which
        replicas are compared.

        What is still on its way would make a replica newer than the one
        that was chosen, and it could never follow that one.
        """
        self.sql('STOP SLAVE IO_THREAD')
        return int(self._as_replica()['Gtid_IO_Pos'].rpartition('-')[2] or 0)

    def promote(self):
        """Apply what was received, then take writes."""
        self.sql('STOP SLAVE IO_THREAD', 'START SLAVE SQL_THREAD')
        position = self._as_replica()['Gtid_IO_Pos']
        # RESET forgets what was received and is not applied.
        assert self.sql(f"SELECT master_gtid_wait('{position}', 30)") == [
            (0,)]
        self.sql('STOP SLAVE', 'RESET SLAVE ALL',
                 'SET GLOBAL read_only=OFF')

    def follow_instead(self, primary):
        """Follow ``primary``, from where this replica is."""
        self.sql('STOP SLAVE', 'CHANGE MASTER TO '
                 f'master_port={primary.port}', 'START SLAVE')

    def come_back_read_only(self):
        """Start a primary that had been killed, as a careful operator
        configures every server: none takes writes unless it is told to.
        """
        self._command.append('--read-only=ON')
        self.start()

    def rejoin(self, primary):
        """A former primary follows; it has nothing that ``primary`` lacks.
        """
        self.refuse_writes()
        self.sql('CHANGE MASTER TO ' + self._whom(primary) +
                 ', master_demote_to_slave=1', 'START SLAVE')

    def lose_nothing(self, replicas):
        """Acknowledge only what one replica has received."""
        for replica in replicas:
            replica.sql('SET GLOBAL rpl_semi_sync_slave_enabled=ON',
                        'STOP SLAVE IO_THREAD', 'START SLAVE IO_THREAD')
        self.sql('SET GLOBAL rpl_semi_sync_master_wait_point=AFTER_SYNC',
                 'SET GLOBAL rpl_semi_sync_master_enabled=ON')
        waiting.wait_for(lambda: self.sql(
            "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'"
        )[0][1] == str(len(replicas)))

    def acknowledge_alone(self):
        """End :meth:`lose_nothing`."""
        self.sql('SET GLOBAL rpl_semi_sync_master_enabled=OFF')

    def commits_waiting(self):
        """How many commits no replica has received yet."""
        return self.sql('SELECT count(*) FROM information_schema.processlist'
                        " WHERE state LIKE 'Waiting for semi-sync ACK%'"
                        )[0][0]

    def stop_receiving(self):
        """Be cut off from the primary: nothing of it arrives any more."""
        self.sql('STOP SLAVE')

    def follow_through(self, port):
        """From now on replicate by another way, see ``servers.Proxy``."""
        self.sql('STOP SLAVE', f'CHANGE MASTER TO master_port={port}',
                 'START SLAVE')

    def caught_up(self, primary, seconds=10):
        """Wait until all that ``primary`` has committed is here."""
        [[position]] = primary.sql('SELECT @@gtid_binlog_pos')
        try:
            waiting.wait_for(lambda: self.sql(
                f"SELECT master_gtid_wait('{position}', 1)") == [(0,)],
                seconds, f'{self.folder} at {position}')
        except AssertionError as error:
            raise AssertionError(f'{error}: {self._as_replica()}') from None

    def stop_applying(self):
        """Receive and do not apply: the data grow stale."""
        self.sql('STOP SLAVE SQL_THREAD')

    def start_applying(self):
        self.sql('START SLAVE')

    def says_of_its_lag(self):
        """``Seconds_Behind_Master``, and whether its two threads run."""
        connection = self.connect()
        with contextlib.closing(connection), connection.cursor(
                pymysql.cursors.DictCursor) as cursor:
            cursor.execute('SHOW SLAVE STATUS')
            found = cursor.fetchone()
        return (found['Seconds_Behind_Master'], found['Slave_IO_Running'],
                found['Slave_SQL_Running'])

    def refuse_writes(self):
        """As a primary does that was demoted."""
        self.sql('SET GLOBAL read_only=ON')

    def accept_writes(self):
        self.sql('SET GLOBAL read_only=OFF')

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
