"""A primary and its replicas: replication, failover, restore."""

import dataclasses
import os

from tests.schedules import hub
from tests.schedules import servers

# How many commits a new replica must catch up with: it begins as a backup.
BACKUP = 20
# The name of a server with another database.
OTHER = 'other'


@dataclasses.dataclass
class Span:
    """During which time a server was the primary."""

    server: servers.Server
    since: float
    until: float = float('inf')


class Cluster:
    """A primary and its replicas, behind addresses that can move.

    :ivar address: ``{address: server}``; addresses are paths in URLs
    :ivar cut: ``{(process, address or '*')}``: nothing arrives there
    :ivar patience: seconds that a client waits for a silent server
    :ivar retired: the former primaries
    :ivar stalled: the replicas, by number, that receive nothing
    :ivar lag: returns the seconds until a replica has the next commits
    :ivar misled: the server of another database to which the address of the
        primary leads, or None
    :ivar reigns: which server was the primary when
    """

    def __init__(self, folder, template, replicas, random, weather,
                 on_commit):
        """:param template: a database file with the newest schema"""
        self.folder, self.template = folder, template
        self.random, self.weather = random, weather
        self.on_commit = on_commit
        self.made = 0
        self.replicas, self.retired, self._servers = [], [], []
        self.cut, self.stalled = set(), set()
        self.patience, self.misled = 5.0, None
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
        made = servers.Server(self, name or f's{self.made}', log)
        self._servers.append(made)
        return made

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
        return process.name[0] == 'c' and self.weather.happens('lose_commit')

    # -- replication

    def lag(self):
        """Return the seconds until a replica has what is committed now."""
        return 0.05 + self.random.random() * (
            12 if self.weather.happens('lag') else 0.3)

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

        New replicas take its place, and those of replicas that have more.

        :param former_lives: the former primary lives on, read-only, and open
            sessions to it stay
        :returns: how many commits are lost
        """
        former = self.primary
        former.read_only, former.up = former_lives, former_lives
        self._take_over(replica)
        for place, one in enumerate(self.replicas):
            if one is replica:
                self._replace(place)
            elif self.shared(one, len(one.log)) < len(one.log):
                # It has what is lost, so it cannot follow.
                one.up = False
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
        self._replace_all()
        return len(former.log) - length

    def fail_back(self, server):
        """Make a former primary the primary again, with what it has.

        :returns: how many commits are lost
        """
        former = self.primary
        self.retired.remove(server)
        server.up, server.read_only = True, False
        shared = self.shared(server, len(server.log))
        self._take_over(server)
        self._replace_all()
        return len(former.log) - shared

    def mislead(self, uuid):
        """Let the address of the primary lead to another database.

        :param uuid: of that database
        """
        self.misled = self._new(name=OTHER)
        self.misled.write(
            ('UPDATE database_identity SET uuid = ?', uuid))
        self.address[self._path('primary')] = self.misled

    def lead(self):
        """End what :meth:`mislead` began; return the wrong server."""
        wrong, self.misled = self.misled, None
        self.address[self._path('primary')] = self.primary
        return wrong

    def _take_over(self, server):
        now = hub.running.now
        self.retired.append(self.primary)
        self.reigns[-1].until = now
        self.reigns.append(Span(server, now))
        self.primary = server
        if self.misled is None:
            self.address[self._path('primary')] = server

    def _replace_all(self):
        for place, replica in enumerate(self.replicas):
            replica.up = False
            self._replace(place)

    def _replace(self, place):
        fresh = self._new(self.primary.log[:-BACKUP] or self.primary.log)
        self.replicas[place] = fresh
        self.address[self._path(f'replica{place}')] = fresh

    def primaries(self, since):
        """Return the servers that were the primary at ``since`` or later."""
        return [span.server for span in self.reigns if span.until >= since]

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
        for server in self._servers:
            server.close()
