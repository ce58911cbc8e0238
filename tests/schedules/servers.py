"""Database servers: SQLite files with an exact log of commits.

A replica replays the writing statements of each commit with the time that the
primary had then. So at every moment it is exactly what the primary was after
some commit, and its age is known.
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

    def history(self):
        """Return the incarnation, and what the clock of the cell shows."""
        [row] = self.rows('SELECT incarnation, seconds '
                          'FROM database_identity, cell_clock')
        return tuple(row.values())

    def uuid(self):
        """Return the uuid of the database."""
        return self.rows('SELECT uuid FROM database_identity')[0]['uuid']

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
