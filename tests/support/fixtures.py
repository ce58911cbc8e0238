"""Real parts for tests: two databases that differ, and programs on them.

Primary and replica are seeded with different data on purpose: which of the
two answered can be read off the answer.
"""

import contextlib
import functools
import logging
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import uuid

from oslo_config import cfg
from oslo_messaging import conffixture

from computed import clock
from computed import concurrency
from computed import conf as computed_conf
from computed import context
from computed import manager
from computed import objects
from computed.claims import claims
from computed.claims import journal
from computed.conductor import client as conductor_client
from computed.db.cell import migration
from computed.objects import base
from computed.objects import host as host_obj
from computed.rpc import options
from computed.rpc import transport
from tests.support import prefork
from tests.support import waiting

HOST = 'h1'
READ_AT_START = {'PYTHONPATH', concurrency.VARIABLE}
UUID = '11111111-2222-4333-8444-555555555555'
SERVICE = str(uuid.UUID(int=1))
# The service of add_service, its run, and the start of its machine.
SILENT = str(uuid.UUID(int=2))
OWNER = f'{SILENT}:{SILENT}'
# A start of a machine.
BOOT = str(uuid.UUID(int=3))
PRIMARY, REPLICA = 1, 3      # the power states that tell them apart

INSTANCE = {
    'uuid': UUID, 'name': 'web', 'host': HOST, 'vm_state': 'active',
    'power_state': 1, 'command': 'sleep 1000', 'vcpus': 1, 'memory_mb': 0,
    'disk_gb': 0, 'network': 'host',
}


def add_counter(database):
    """A host and an instance in a ``servers.Database``; its vcpus are 0."""
    values = {**INSTANCE, 'vcpus': 0, 'revision': 1,
              'created_at': '2026-01-01', 'updated_at': '2026-01-01'}
    database.sql(
        f"INSERT INTO hosts VALUES ('{HOST}', 1, '2026-01-01')",
        f"INSERT INTO instances ({', '.join(values)}, deleted) VALUES (" +
        ', '.join(repr(value) for value in values.values()) + ', false)')


def make_sqlite(path, database_id=None):
    """Make an SQLite database with the newest schema, as the migrations do.

    It copies one that they made, in a hundredth of the time.

    :param database_id: None: one of its own
    """
    path.write_bytes(_sqlite_schema())
    SqlitePair.sql(path, 'UPDATE database_identity SET uuid = ?',
                   database_id or str(uuid.uuid4()))


@functools.cache
def _sqlite_schema():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'schema.sqlite'
        migration.sync(f'sqlite:///{path}')
        with _transaction(path) as connection:
            connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        return path.read_bytes()


@contextlib.contextmanager
def _transaction(path):
    connection = sqlite3.connect(path, timeout=60)
    try:
        # No test cuts the power.
        connection.execute('PRAGMA synchronous = OFF')
        with connection:
            yield connection
    finally:
        connection.close()


class SqlitePair:
    """A primary and a replica in two files; only beats are replicated, and
    in which of its lives the database is.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.primary = self.folder / 'primary.sqlite'
        self.replica = self.folder / 'replica.sqlite'
        database_id = str(uuid.uuid4())
        for path in (self.primary, self.replica):
            make_sqlite(path, database_id)
        self.reset()
        self._stopping = threading.Event()
        self._thread = None

    def reset(self):
        """One host with one instance, which the two know differently."""
        for path, power_state in ((self.primary, PRIMARY),
                                  (self.replica, REPLICA)):
            with _transaction(path) as connection:
                for table in ('instances', 'services', 'compute_nodes',
                              'bandwidth_usage', 'guest_claims', 'freezes',
                              'events', 'volumes',
                              'block_device_mapping', 'volume_usage',
                              'console_tokens', 'usage_audits'):
                    connection.execute(f'DELETE FROM {table}')
                connection.execute(
                    'INSERT OR REPLACE INTO hosts VALUES '
                    "(?, 7, '2026-01-01 00:00:00.000000')", [HOST])
            self.add_instance(path, power_state=power_state)

    @staticmethod
    def url(path):
        return f'sqlite:///{path}'

    @staticmethod
    def sql(path, statement, *arguments):
        """Run one statement on one of the two, as another program would."""
        with _transaction(path) as connection:
            return connection.execute(statement, arguments).fetchall()

    def add_instance(self, path, **columns):
        values = {**INSTANCE, 'deleted': 0, 'revision': 7,
                  'created_at': '2026-01-01 00:00:00.000000',
                  'updated_at': '2026-01-01 00:00:00.000000', **columns}
        self.sql(path, f"INSERT INTO instances ({', '.join(values)}) VALUES "
                 f"({', '.join('?' * len(values))})", *values.values())

    def replicate_heartbeats(self):
        """Carry heartbeats from the primary to the replica, from now on."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def carry_once(self):
        """Carry the heartbeats that are there now."""
        for row in self.sql(self.primary, 'SELECT * FROM replica_heartbeats'):
            self.sql(self.replica, 'INSERT OR REPLACE INTO '
                     'replica_heartbeats VALUES (?, ?, ?)', *row)
        [incarnation] = self.sql(self.primary,
                          'SELECT incarnation, lineage FROM database_identity')
        self.sql(self.replica,
                 'UPDATE database_identity SET incarnation = ?, lineage = ?',
                 *incarnation)

    def _carry(self):
        seen = None
        with contextlib.closing(sqlite3.connect(self.primary)) as primary:
            while not self._stopping.wait(0.02):
                version = primary.execute('PRAGMA data_version').fetchone()
                if version != seen:
                    seen = version
                    self.carry_once()

    def stop_replication(self):
        """The replica stays as it is, and does not say so."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None


def add_service(path, host):
    """A host in an SQLite database that is not heard."""
    SqlitePair.sql(
        path, 'INSERT INTO services VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '
        '?)', host, *[SILENT] * 3, '', 0, '0.1.0',
        '2026-01-01 00:00:00.000000', 1, 0, 0, '{}')


def silence(sql, host, seconds):
    """Let the clock of the cell have counted ``seconds`` since a heartbeat.

    :param sql: runs a statement on the primary
    """
    sql('UPDATE services SET heard_at = (SELECT seconds FROM cell_clock) - '
        f'{seconds + 1}, heard_listened = (SELECT listened FROM cell_clock) '
        f"- {seconds + 1} WHERE host = '{host}'")


class Program:
    """One of our programs as a real process."""

    def __init__(self, name, folder, *arguments, python=sys.executable,
                 fresh=False, **environment):
        """
        :param fresh: start Python for it; else it is a fork of a process
            that has imported everything, see ``prefork``
        :param environment: variables; it is started fresh with one that is
            read before or while modules are imported
        """
        self.log = pathlib.Path(folder) / f'{name}-{uuid.uuid4().hex[:6]}.log'
        module = 'computed.cmd.' + name.removeprefix('computed-')
        # A host on eventlet that is a fork does not answer.
        fresh = (fresh or READ_AT_START & environment.keys() or
                 python != sys.executable or name == 'computed' and
                 concurrency.chosen() == concurrency.EVENTLET)
        with open(self.log, 'w') as stream:
            if not fresh:
                self.process = prefork.start(
                    module, arguments, stream, stream,
                    {**os.environ, **environment})
                return
            self.process = subprocess.Popen(
                [python, '-P', '-m', module, *arguments],
                stdout=stream, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment})

    def output(self):
        return self.log.read_text()

    def wait_for_output(self, text, seconds=20):
        """Wait until the program has written ``text``."""
        self.wait_for(lambda: text in self.output(), text, seconds)

    def wait_for(self, condition, what, seconds=20):
        """Wait for ``condition()``; show what the program wrote if it fails.
        """
        def holds():
            ended = self.process.poll()
            if found := condition():
                return found
            assert ended is None, f'the program ended with {ended}'
            return False
        try:
            waiting.wait_for(holds, seconds, what)
        except AssertionError as error:
            raise AssertionError(
                f'{error}\n{self.output()[-8000:]}') from None

    def end(self, number=signal.SIGTERM, seconds=120):
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def make_conf(folder, **overrides):
    """A private configuration for a host whose conductor is a process.

    :param overrides: ``group__option=value``, or ``option=value``
    """
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    options.register_opts(conf)
    # Options that the library registers on the global configuration only.
    conffixture.ConfFixture(conf, transport_url=f'unix://{folder}/rpc')
    conf(['--state-path', str(folder)], default_config_files=[])
    for option, value in {'host': HOST, **overrides}.items():
        group, _, name = option.rpartition('__')
        conf.set_override(name, value, group=group or None)
    return conf


def write_config(path, database, **options):
    """A computed.conf for a program; returns the arguments that name it."""
    options = {'transport_url': f'unix://{path.parent}/rpc', **options}
    lines = ['[DEFAULT]', f'host = {HOST}',
             f'state_path = {path.parent}',
             *(f'{name} = {value}' for name, value in options.items()),
             '[database]',
             *(f'{name} = {value}' for name, value in database.items())]
    path.write_text('\n'.join(lines) + '\n')
    return ['--config-file', str(path)]


def complaints(caplog):
    """What computed logged as a warning or worse.

    Not what libraries log: a connection of an earlier test may still try to
    reach a broker that is gone.
    """
    return [record for record in caplog.records
            if record.levelno >= logging.WARNING and
            record.name.partition('.')[0] == 'computed']


def register(host, boot_id, service_id=SERVICE):
    """Register a run of a service that follows any earlier one.

    :returns: the uuid of the database
    """
    return host_obj.Service.register(
        context.new(), host, service_id, boot_id, BOOT, '0', 'place',
        clock.monotonic())['database_id']


def successor(manager, entries=None):
    """Let the same service start again: it has other claims now.

    :param entries: None: the same journal
    """
    old, boot_id = manager.claims, str(uuid.uuid4())
    register(old.owner.host, boot_id, old.service_id)
    manager.claims = claims.Claims(
        old.owner.database_id, old.owner.host, old.service_id, boot_id,
        entries or old.journal, old.settled)


class HostSide:
    """This process in the role of a host: objects go to a conductor."""

    def __init__(self, folder, state, **overrides):
        """:param folder: where the conductor's sockets are
        :param state: this host's own folder
        """
        self.conf = make_conf(folder, **overrides)
        self.state = state
        self.transport = transport.make(self.conf)
        self.conductor = conductor_client.ConductorAPI(self.transport)

    def __enter__(self):
        objects.register_all()
        base.use_conductor(self.conductor)
        return self

    def __exit__(self, *error):
        base.use_conductor(None)
        self.transport.close()

    def manager(self, driver, **kwargs):
        """A compute manager on ``driver``, registered with the conductor."""
        boot_id = str(uuid.uuid4())
        granted = claims.Claims(
            register(self.conf.host, boot_id), self.conf.host, SERVICE,
            boot_id, journal.Journal(os.path.join(self.state, 'claims')))
        driver.init_host(granted.owner)
        return manager.ComputeManager(self.conf, driver, granted, **kwargs)
