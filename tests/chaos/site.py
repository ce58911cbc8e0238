"""What a run has: servers, conductors, and how each fault is done to them."""

import contextlib
import signal
import time

from computed.db.cell import migration
from tests import servers
from tests.support import fixtures
from tests.support import waiting

NAME = 'computed_chaos'
CONDUCTORS = 2
OPTIONS = {'max_replica_lag': 3, 'replica_heartbeat_interval': 0.2,
           'replica_probe_interval': 0.2, 'replica_good_samples': 3,
           'replica_ramp': 2, 'replica_timeout': 1, 'primary_timeout': 3}


class Site:
    """A cluster, two conductors on it, and this process as a host."""

    def __init__(self, folder, cluster):
        self.folder = folder
        self.cluster = cluster
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        self.cluster.start()
        self._stack.callback(self.cluster.stop)
        self.cluster.primary.create_database(NAME)
        self.database = servers.Database(NAME, self.cluster)
        migration.sync(self.database.url)
        self.cluster.caught_up()
        self._arguments = fixtures.write_config(
            self.folder / 'computed.conf', {
                'connection': self.database.url, 'replica_connections':
                ','.join(self.database.replica_urls), **OPTIONS},
            rpc_response_timeout=10)
        self.conductors = [self._conductor() for _ in range(CONDUCTORS)]
        self._stack.callback(
            lambda: [program.end() for program in self.conductors])
        waiting.wait_for(lambda: len(list(self.folder.glob(
            'rpc/*conductor*'))) == CONDUCTORS, 30, 'conductors')
        self.side = self._stack.enter_context(fixtures.HostSide(
            self.folder, self.folder, rpc_response_timeout=10))
        return self

    def __exit__(self, *error):
        self._stack.close()

    def _conductor(self):
        return fixtures.Program('computed-conductor', self.folder,
                                *self._arguments)

    def begin(self, fault):
        """Do it; returns how to undo it."""
        if fault.part == 'conductor':
            return self._begin_conductor(fault)
        server = (self.cluster.primary if fault.part == 'primary'
                  else self.cluster.replicas[fault.number])
        if fault.kind == 'stop_applying':
            server.stop_applying()
            return server.start_applying
        getattr(server, fault.kind)()
        return server.start if fault.kind == 'kill' else server.thaw

    def _begin_conductor(self, fault):
        process = self.conductors[fault.number].process
        if fault.kind == 'freeze':
            process.send_signal(signal.SIGSTOP)
            return lambda: process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()

        def start():
            self.conductors[fault.number] = self._conductor()
        return start


def live_through(site, faults, seconds, say):
    """Do every fault in its time, and undo it.

    :returns: how many were done
    """
    began, under_way, done = time.monotonic(), [], 0
    waiting_for = list(faults)
    while (now := time.monotonic() - began) < seconds or under_way:
        for end, undo, fault in list(under_way):
            if end <= now:
                undo()
                under_way.remove((end, undo, fault))
        while waiting_for and waiting_for[0].at <= now:
            fault = waiting_for.pop(0)
            say(fault)
            under_way.append((now + fault.lasts, site.begin(fault), fault))
            done += 1
        time.sleep(0.05)
    return done
