"""Database servers: an exact log of commits, replicas, failover, restore.

Each server is an SQLite file. A replica replays the writing statements of
each commit with the time that the primary had then. So at every moment it is
exactly what the primary was after some commit, and its age is known.
"""

import dataclasses
import os
import shutil
import sqlite3
import time

from tests.schedules import hub
from tests.schedules import threads


@dataclasses.dataclass(frozen=True)
class Statement:
    """A statement that wrote.

    :ivar clock: what the clock of its server showed then
    :ivar many: whether ``parameters`` are those of several executions
    """

    sql: str
    parameters: object
    clock: float
    many: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Commit:
    """The statements of a commit, when it was, and whose process it was."""

    statements: tuple
    at: float
    by: str

    def touches(self, table):
        """Return whether a statement names ``table``."""
        return any(f' {table}' in one.sql for one in self.statements)


class Server:
    """A database server.

    :ivar log: every commit that it has, in order
    :ivar clock: seconds by which its wall clock is wrong
    :ivar read_only: whether it refuses writes, as a demoted primary does
    """

    def __init__(self, cluster, name, log=()):
        self.cluster, self.name = cluster, name
        self.path = os.path.join(cluster.folder, f'{cluster.made}.sqlite')
        shutil.copyfile(cluster.template, self.path)
        self.up, self.read_only = True, False
        self.clock = 0.0
        self.log = []
        self._replayed = None
        self._own = sqlite3.Connection(self.path, isolation_level=None)
        self._own.execute('PRAGMA synchronous = OFF')
        self.prepare(self._own)
        self.apply(log)

    def prepare(self, connection):
        """Give a connection the functions that this server has."""
        connection.create_function('sim_now', 0, lambda: _text(self.wall()))
        connection.create_function('sim_server', 0, lambda: self.name)
        connection.create_function('sim_writable', 0, lambda: self.writable)

    @property
    def writable(self):
        return not self.read_only and self not in self.cluster.replicas

    def wall(self):
        """Return what its clock shows; while it replays, what it showed."""
        if self._replayed is not None:
            return self._replayed
        return threads.EPOCH + hub.running.now + self.clock

    def apply(self, commits):
        """Replay commits of another server."""
        for commit in commits:
            self._execute(commit.statements)
            self.log.append(commit)

    def _execute(self, statements):
        self._own.execute('BEGIN IMMEDIATE')
        for one in statements:
            self._replayed = one.clock
            run = self._own.executemany if one.many else self._own.execute
            run(one.sql, one.parameters)
        self._replayed = None
        self._own.execute('COMMIT')

    def rows(self, sql, *parameters):
        """Return rows as dicts; nobody else runs meanwhile."""
        cursor = self._own.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def write(self, *statements):
        """Commit ``(sql, *parameters)`` as an operator at its console."""
        made = tuple(Statement(sql, parameters, self.wall())
                     for sql, *parameters in statements)
        self._execute(made)
        self.record(made, 'operator')

    def record(self, statements, by):
        """Add a commit to the log, and tell replicas and the judge."""
        self.log.append(Commit(tuple(statements), hub.running.now, by))
        self.cluster.committed(self)

    def close(self):
        self._own.close()


def _text(seconds):
    whole, fraction = divmod(seconds, 1)
    return (time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(whole)) +
            f'.{int(fraction * 1e6):06}')


@dataclasses.dataclass
class Span:
    """During which time a server was the primary."""

    server: Server
    since: float
    until: float = float('inf')


class Cluster:
    """A primary and its replicas, behind addresses that can move.

    :ivar address: ``{address: server}``; addresses are paths in URLs
    :ivar cut: ``{(process, address or '*')}``: nothing arrives there
    :ivar patience: seconds that a client waits for a silent server
    :ivar lose_commits: the chance that a commit gets no answer
    :ivar stalled: the replicas, by number, that receive nothing
    :ivar lag: returns the seconds until a replica has the next commits
    :ivar reigns: which server was the primary when
    """

    def __init__(self, folder, template, replicas, random, on_commit):
        """:param template: a database file with the newest schema"""
        self.folder, self.template = folder, template
        self.random, self.on_commit = random, on_commit
        self.made = 0
        self.replicas, self.retired = [], []
        self.cut, self.stalled = set(), set()
        self.patience, self.lose_commits = 5.0, 0.0
        self.long_lag = False
        self._waiting = []
        self.primary = self._new()
        self.reigns = [Span(self.primary, 0.0)]
        self.replicas = [self._new() for _ in range(replicas)]
        self.address = {self._path('primary'): self.primary}
        for place, server in enumerate(self.replicas):
            self.address[self._path(f'replica{place}')] = server
        first, *others = [f'sqlite:///{path}' for path in self.address]
        self.url, self.replica_urls = first, others

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _new(self, log=(), name=None):
        self.made += 1
        return Server(self, name or f's{self.made}', log)

    def committed(self, server):
        """Called after each commit on any server."""
        if server is self.primary:
            self.on_commit(server, server.log[-1])
            self._wake_replicas()

    def _wake_replicas(self):
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            hub.running.wake(task)

    def loses_answer(self, process):
        """Return whether the commit of a conductor gets no answer."""
        return (self.lose_commits and process.name[0] == 'c' and
                self.random.random() < self.lose_commits)

    # -- replication

    def lag(self):
        """Return the seconds until a replica has what is committed now."""
        slow = self.long_lag and self.random.random() < 0.3
        return 0.05 + self.random.random() * (12 if slow else 0.3)

    def replicate(self, place):
        """Keep a replica up to date, for ever; the body of a thread."""
        while True:
            if (place in self.stalled or
                    self._lacks(place) <= 0):
                self._waiting.append(hub.running.current)
                hub.running.block()
                continue
            goal = len(self.primary.log)
            hub.running.sleep(self.lag())
            replica = self.replicas[place]
            if place not in self.stalled and replica.up:
                replica.apply(self.primary.log[len(replica.log):goal])

    def _lacks(self, place):
        return len(self.primary.log) - len(self.replicas[place].log)

    def resume(self, place):
        """Let a stalled replica receive again."""
        self.stalled.discard(place)
        self._wake_replicas()

    # -- what operators do

    def fail_over(self, replica, former_lives):
        """Make ``replica`` the primary, with what it has.

        A new replica takes its place.

        :param former_lives: the former primary lives on, read-only, and open
            sessions to it stay
        :returns: how many commits are lost
        """
        former, place = self.primary, self.replicas.index(replica)
        former.read_only, former.up = former_lives, former_lives
        self._take_over(replica)
        self._replace(place)
        return len(former.log) - len(replica.log)

    def restore(self, length):
        """Load the dump of an earlier moment into the same server.

        :param length: how many commits the dump has
        :returns: how many commits are lost
        """
        former = self.primary
        former.up = False
        self._take_over(self._new(former.log[:length], former.name))
        for place, replica in enumerate(self.replicas):
            replica.up = False
            self.retired.append(replica)
            self._replace(place)
        return len(former.log) - length

    def _take_over(self, server):
        now = hub.running.now
        self.retired.append(self.primary)
        self.reigns[-1].until = now
        self.reigns.append(Span(server, now))
        self.primary = self.address[self._path('primary')] = server

    def _replace(self, place):
        fresh = self._new(self.primary.log)
        self.replicas[place] = fresh
        self.address[self._path(f'replica{place}')] = fresh

    def reigned(self, server, since):
        """Return whether ``server`` was the primary at ``since`` or later."""
        return any(span.server is server and span.until >= since
                   for span in self.reigns)

    def shared(self, server, commits):
        """Return how many of the first commits of ``server`` are true.

        True is what the present primary has.
        """
        truth = self.primary.log
        if commits <= len(truth) and (
                not commits or truth[commits - 1] is server.log[commits - 1]):
            return commits
        return next((number for number, commit in enumerate(truth[:commits])
                     if commit is not server.log[number]), len(truth))

    def close(self):
        for server in [self.primary, *self.replicas, *self.retired]:
            server.close()
