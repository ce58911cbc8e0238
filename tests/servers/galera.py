"""A private Galera cluster: three MariaDB servers, each a primary."""

import contextlib
import pathlib
import re
import subprocess

import pymysql

from tests.servers import base
from tests.servers import mariadb
from tests.support import waiting

PROVIDER = pathlib.Path('/usr/lib/galera/libgalera_smm.so')

# A node that says nothing is left out after two seconds instead of five.
PROVIDER_OPTIONS = {
    'gcache.size': '64M', 'evs.keepalive_period': 'PT0.3S',
    'evs.suspect_timeout': 'PT2S', 'evs.inactive_timeout': 'PT4S',
    'evs.install_timeout': 'PT4S', 'pc.announce_timeout': 'PT1S',
    'gmcast.peer_timeout': 'PT1S'}


def provider():
    """Galera's library; without it the test is skipped, or fails in CI."""
    return PROVIDER if PROVIDER.exists() else base.missing('galera-4')


class Galera(mariadb.MariaDB):
    """One node. Every node takes writes; none follows another."""

    def __init__(self, folder, installed, number, ports):
        """
        :param ports: where each node of the cluster listens to the others,
            by number
        """
        super().__init__(
            folder, installed, number, '--skip-log-bin',
            '--log-slave-updates=OFF', '--gtid-strict-mode=OFF',
            '--innodb-autoinc-lock-mode=2', '--wsrep-on=ON',
            f'--wsrep-provider={provider()}',
            # since MariaDB 11: else Galera's options cannot be changed later
            '--loose-plugin-wsrep-provider=OFF',
            '--wsrep-cluster-name=computed',
            f'--wsrep-node-name=node{number}',
            '--wsrep-cluster-address=gcomm://' + ','.join(
                f'127.0.0.1:{port}' for port in ports.values()),
            f'--wsrep-node-address=127.0.0.1:{ports[number]}',
            '--wsrep-sst-method=handover')
        options = {'base_port': ports[number],
                   'gmcast.listen_addr': f'tcp://127.0.0.1:{ports[number]}',
                   'ist.recv_addr': f'127.0.0.1:{base.free_port()}',
                   **PROVIDER_OPTIONS}
        self._command.append('--wsrep-provider-options=' + ';'.join(
            f'{name}={value}' for name, value in options.items()))
        self._holder = None
        self.environment = {
            'PATH': f'{pathlib.Path(__file__).parent}:{base.PATH}'}

    def launch(self, *options):
        """As any server; one that crashed finds out first what it has."""
        command = self._command
        if self.process is not None and self.process.returncode:
            options = (*options, f'--wsrep-start-position={self._position()}')
        self._command = [*command, *options]
        try:
            super().launch()
        finally:
            self._command = command

    def _position(self):
        """Up to which transaction the data of a stopped node goes."""
        found = subprocess.run(
            [*self._command, '--wsrep-recover'],
            capture_output=True, text=True)
        return re.findall(r'Recovered position: ([^\s,]+)', found.stderr)[-1]

    def status(self, name):
        """The value of one of Galera's status variables, without wsrep_."""
        [[_, value]] = self.sql(f"SHOW STATUS LIKE 'wsrep_{name}'")
        return value

    def is_whole(self, nodes):
        """Whether it has all data and sees so many nodes, itself included.
        """
        try:
            return (self.status('local_state_comment') == 'Synced' and
                    self.status('cluster_size') == str(nodes))
        except pymysql.err.OperationalError:
            return False

    def isolate(self):
        """Cut it off from the other nodes, as a broken network does."""
        self.provide('gmcast.isolate=1')
        waiting.wait_for(lambda: self.status('cluster_status') != 'Primary',
                         20, 'the node to notice that it is alone')

    def rejoin(self):
        self.provide('gmcast.isolate=0')

    def provide(self, option):
        """Set an option of Galera itself."""
        self.sql(f"SET GLOBAL wsrep_provider_options='{option}'")

    def desync(self):
        """Let it fall behind, as a donor may; it still takes writes."""
        self.sql('SET GLOBAL wsrep_desync=ON')

    def resync(self):
        if self.sql('SELECT @@wsrep_desync') == [(1,)]:
            self.sql('SET GLOBAL wsrep_desync=OFF')

    def stop_applying(self):
        """Receive and do not apply: the data grow stale, and nobody waits.

        While a session holds this lock the node is out of step by itself.
        """
        self._holder = self.connect()
        with self._holder.cursor() as cursor:
            cursor.execute('FLUSH TABLES WITH READ LOCK')

    def start_applying(self):
        if self._holder is not None:
            with contextlib.suppress(pymysql.err.Error):
                self._holder.close()
            self._holder = None

    def clear_log(self):
        # Not for the other nodes.
        self.sql('SET GLOBAL general_log=ON', 'SET wsrep_on=OFF',
                 'TRUNCATE mysql.general_log')


class GaleraCluster(base.Cluster):
    """Three nodes: the first by convention the primary, the others are
    named as replicas.
    """

    @classmethod
    def make(cls, folder, installed):
        """:param installed: what ``install_mariadb`` made, copied"""
        ports = {number: base.free_port() for number in (1, 2, 3)}
        first = Galera(folder / 'galera1', installed, 1, ports)
        # Each later node begins with a copy of the first, accounts and
        # position included: else it needs all data from the network.
        try:
            first.launch('--wsrep-new-cluster')
            first.wait_until_ready()
            first.add_accounts()
        finally:
            first.stop()
        data = first.folder / 'data'
        (data / 'galera.cache').unlink()
        return cls(first, [
            Galera(folder / f'galera{number}', data, number, ports)
            for number in (2, 3)])

    def start(self):
        self.primary.launch('--wsrep-new-cluster')
        # Else the others might find nobody to join, and give up.
        self.primary.wait_until_ready()
        for node in self.replicas:
            node.launch()
        self.wait_until_whole()

    def wait_until_whole(self, seconds=20):
        for node in self.servers:
            waiting.wait_for(lambda node=node: node.is_whole(3), seconds,
                             f'{node.folder} to be whole:\n{node.log()}')

    def caught_up(self):
        """Wait until each node has all that is committed on any.

        A node that dies while it changes tables would need a copy of all data.
        """
        for node in self.servers:
            node.sql('SET wsrep_sync_wait=7', 'SELECT 1 FROM mysql.db')

    def mend(self):
        """Undo what a test did to the nodes; quick when it did nothing."""
        for node in self.servers:
            if node.is_running:
                node.thaw()
                node.stop_log()
                node.start_applying()
                node.rejoin()
                node.resync()
            else:
                node.launch()
        self.wait_until_whole()
