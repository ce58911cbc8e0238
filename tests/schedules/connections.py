"""Connections to the database servers of a schedule, beneath SQLAlchemy.

A connection may find its server gone, its network cut, its commit without an
answer. Every statement and every commit is a point at which others may run.
"""

import sqlite3

from tests.schedules import hub
from tests.schedules import servers

# Virtual seconds that a writer waits for another one.
BUSY = 10.0
WRITES = ('INSERT', 'UPDATE', 'DELETE', 'REPLACE')
READ_ONLY = 'attempt to write a readonly database'


class Lost(sqlite3.OperationalError):
    """The server, or the way to it, is gone."""

    sqlstate = None


class Cursor(sqlite3.Cursor):
    """Executes statements; see :class:`Connection`."""

    def execute(self, sql, parameters=()):
        if sql.startswith('PRAGMA'):
            # Native waits would hold every thread of the schedule.
            return super().execute(
                'PRAGMA busy_timeout = 0' if 'busy_timeout' in sql else sql)
        return self._execute(super().execute, sql, parameters, False)

    def executemany(self, sql, parameters):
        return self._execute(super().executemany, sql, list(parameters), True)

    def _execute(self, run, sql, parameters, many):
        link, here = self.connection, hub.running
        link.check()
        here.point()
        link.check()
        word = sql.lstrip()[:6].upper()
        if word.startswith('BEGIN'):
            link.forget()
            return self._in_turn(run, sql, parameters)
        if word in WRITES:
            if not link.server.writable:
                raise sqlite3.OperationalError(READ_ONLY)
            result = self._in_turn(run, sql, parameters)
            link.wrote(sql, parameters, many)
            return result
        link.looks()
        result = run(sql, parameters)
        if link.is_slow and link.server.cluster.weather.happens('slow_reads'):
            here.sleep(link.server.cluster.weather.within(10.0))
        here.point()
        return result

    def _in_turn(self, run, sql, parameters):
        """Wait for another writer in virtual time."""
        until = hub.running.now + BUSY
        while True:
            try:
                return run(sql, parameters)
            except sqlite3.OperationalError as error:
                if 'locked' not in str(error) or hub.running.now >= until:
                    raise
            hub.running.sleep(0.05)
            self.connection.check()


class Connection(sqlite3.Connection):
    """A client's connection; a crash of either side severs it.

    :ivar is_slow: whether answers may take long. Slow reads everywhere make
        heartbeats slow, and then all tolerant reads go to the primary
    :ivar snapshot: how many commits the open transaction can see
    """

    def join(self, server, process, address):
        """Connect to ``server`` for a thread of ``process``."""
        self.server, self.process, self.address = server, process, address
        self.severed = False
        self.is_slow = address.endswith('replica0')
        self.forget()
        process.connections.append(self)

    def cursor(self, factory=Cursor):
        return super().cursor(factory)

    def check(self):
        """:raises Lost: nothing arrives there"""
        if self.severed or not self.server.up:
            self.sever()
            raise Lost('the server has gone away')
        try:
            ensure_reached(self.server.cluster, self.process, self.address)
        except Lost:
            self.sever()
            raise

    def forget(self):
        """Forget the transaction that has ended."""
        self.snapshot, self._statements = None, []

    def looks(self):
        """Note what the read that follows can see."""
        if self.in_transaction:
            if self.snapshot is None:
                self.snapshot = len(self.server.log)
            hub.running.current.snapshot = self.server, self.snapshot

    def wrote(self, sql, parameters, many):
        self._statements.append(servers.Statement(
            sql, parameters, self.server.wall(), many))

    def sever(self):
        """Break; the server rolls back what was open."""
        if not self.severed:
            self.severed = True
            super().rollback()

    def commit(self):
        if not self._statements:
            super().commit()
            self.forget()
            return
        hub.running.point()
        self.check()
        if not self.server.writable:
            super().rollback()
            raise sqlite3.OperationalError(READ_ONLY)
        super().commit()
        statements = self._statements
        self.forget()
        self.server.record(statements, self.process.name)
        if self.server.cluster.loses_answer(self.process):
            self.sever()
            raise Lost('the server went away after a commit')
        hub.running.point('committed')

    def rollback(self):
        self.forget()
        if not self.severed:
            super().rollback()

    def close(self):
        if self in self.process.connections:
            self.process.connections.remove(self)
        super().close()


def ensure_reached(cluster, process, address):
    """Return if ``process`` reaches ``address``, perhaps after silence.

    :raises Lost: it does not
    """
    ways = {(process, address), (process, '*')}
    if ways & cluster.cut:
        hub.running.sleep(cluster.patience)
        if ways & cluster.cut:
            raise Lost('the server does not answer')


def connect(cluster, address):
    """Return a connection of the running process to an address.

    :raises Lost: nothing answers there
    """
    process = hub.running.current.process
    ensure_reached(cluster, process, address)
    server = cluster.address[address]
    if not server.up:
        raise Lost('connection refused')
    link = sqlite3.connect(server.path, factory=Connection,
                           check_same_thread=False, isolation_level=None)
    link.join(server, process, address)
    server.prepare(link)
    sqlite3.Connection.execute(link, 'PRAGMA synchronous = OFF')
    return link


def ask(connection, question):
    """Ask a server what :mod:`computed.db.engine.primary_check` asks."""
    return connection.cursor().execute(question).fetchone()


def install():
    """Let SQLAlchemy and our code use such servers."""
    import sqlalchemy
    from sqlalchemy import pool
    from sqlalchemy.dialects.sqlite import pysqlite
    from sqlalchemy.engine import base as engine_base
    from sqlalchemy.ext import compiler

    from computed.db.engine import dialects
    from computed.db.engine import server_sql
    from computed.db.engine import sqlite

    compiler.compiles(dialects.exact_utcnow, 'sqlite')(
        lambda element, visitor, **how: 'sim_now()')
    # Without fractions: objects have none, and claims rest on them.
    compiler.compiles(dialects.utcnow, 'sqlite')(
        lambda element, visitor, **how:
        "(substr(sim_now(), 1, 19) || '.000000')")
    server_sql.identity = lambda engine: 'sim_server()'
    server_sql.LINEAGE['sqlite'] = "'server ' || sim_server()"
    server_sql.TAKES_WRITES['sqlite'] = 'sim_writable()'
    sqlite.ask = ask

    # oslo.db gives SQLite no pool. A server's clients have one, and much of
    # what is to be found lives in connections that stay.
    create_engine = sqlalchemy.create_engine
    dialect = pysqlite.SQLiteDialect_pysqlite
    compiled = None

    def pooled(url, **how):
        nonlocal compiled
        if how.get('poolclass') is pool.NullPool:
            how.update(poolclass=pool.QueuePool, pool_size=5,
                       max_overflow=50, pool_timeout=30)
        engine = create_engine(url, **how)
        # A statement is compiled once, and not once a life of a conductor.
        if compiled is None:
            compiled = engine._compiled_cache
        engine._compiled_cache = compiled
        return engine
    sqlalchemy.create_engine = pooled
    dialect.__hash__ = lambda self: 1
    dialect.__eq__ = lambda self, other: type(self) is type(other)

    # oslo.db's listener for SQLite asks a broken connection for its info.
    info = engine_base.Connection.info
    engine_base.Connection.info = property(
        lambda self: {} if self.invalidated else info.__get__(self))
    before = dialect.is_disconnect
    dialect.is_disconnect = (
        lambda self, error, connection, cursor:
        isinstance(error, Lost) or before(self, error, connection, cursor))
