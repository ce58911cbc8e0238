"""One database server: its pool, and for a replica a prober of its own."""

import contextlib
import functools
import math
import threading

import sqlalchemy as sa
from oslo_db.sqlalchemy import enginefacade
from oslo_log import log as logging

from computed import metrics
from computed.db.engine import address
from computed.db.engine import server_sql
from computed.db.engine import setup
from computed.db.routing import health
from computed.db.routing import selection
from computed.db.routing import tables

LOG = logging.getLogger(__name__)

# Why a replica is out of use if only its age is.
LAGGING = 'lagging'
# Bad samples after the start before anybody is told.
PATIENCE = 5


class Node:
    """A server that queries can be sent to.

    :ivar identity: of the server last seen there; None if not known. A
        connection to any other server is not used.
    """

    def __init__(self, url, role, timeout=None):
        self.role = role
        self.name = address.show(url)
        self.identity = None
        self.url = address.prepare(url, timeout)
        self.facade = enginefacade.transaction_context()
        self.facade.configure(
            connection=self.url.render_as_string(hide_password=False),
            # None, lest the library add [database] slave_connection itself.
            slave_connection=None,
            # A node that is down must not hold up the others.
            max_retries=0)
        self.facade.append_on_engine_create(functools.partial(
            setup.tune, must_exist=role == 'replica',
            strict=role == 'primary'))

    def dispose(self):
        """Close every pooled connection; those in use close on return."""
        self.facade.writer.get_engine().dispose()


class Replica(Node):
    """A copy, and what the prober knows of it.

    :ivar seen: the newest of our beats that its data contains, or None
    :ivar life: the incarnation of the database that its data is of, or None
    :ivar latency: seconds a read or a probe took lately, as a moving average
    :ivar reads: how many it answered
    """

    def __init__(self, url, settings, clock):
        super().__init__(url, 'replica', settings.replica_timeout)
        self.settings = settings
        self.clock = clock
        self.seen = None
        self.incarnation = None
        self.schema = None
        self.latency = 0.0
        self.in_flight = 0
        self.reads = 0
        self.ejections = 0
        self.health = health.Health(settings.replica_good_samples,
                                    settings.replica_ramp)
        self._lock = threading.Lock()
        self._engine = None

    def candidate(self, heartbeats):
        """What the ladder needs to know."""
        now = self.clock()
        with self._lock:
            return selection.Candidate(
                self.name, self.health.usable, heartbeats.age(self.seen, now),
                self.health.share(now) if self.health.usable else 1.0,
                # Whoever comes next waits for those before.
                self.latency * (1 + self.in_flight),
                self.health.reason == LAGGING)

    def shown(self):
        """The newest beat seen there, and the server on which it was."""
        with self._lock:
            return self.seen, self.identity

    @contextlib.contextmanager
    def reading(self):
        """A read is under way there while the block lasts."""
        with self._lock:
            self.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def answered(self, seconds):
        """Count a read that this replica answered."""
        with self._lock:
            self.reads += 1
            self._took(seconds)

    def _took(self, seconds):
        self.latency += (seconds - self.latency) / 8

    def failed(self, reason):
        """Take the replica out of use; it comes back by good samples."""
        with self._lock:
            ejected = self.health.bad(reason)
            self.ejections += ejected
            never_good = (not self.health.ejected_once and
                          self.health.bad_in_a_row == PATIENCE)
        if never_good:
            LOG.warning('Replica %(name)s is not in use yet: %(reason)s.',
                        {'name': self.name, 'reason': reason})
        if ejected:
            metrics.replica_ejections.labels(self.name, reason).inc()
            LOG.warning('Replica %(name)s is not used: %(reason)s.',
                        {'name': self.name, 'reason': reason})

    def probe(self, conductor_id, expected, heartbeats):
        """Look once: which of our beats has arrived, and is the node fit?

        :param expected: callable, the :class:`Expected` of a fit node
        :param beats: when each of our beats was sent
        """
        began = self.clock()
        try:
            heartbeat, found = self._look(conductor_id)
        except Exception as error:      # whatever it is, it is unusable
            LOG.debug('Probe of %s failed.', self.name, exc_info=True)
            self.failed(f'error ({type(error).__name__})')
            return
        problem = expected().unfit(found)
        if problem is None and heartbeat is None:
            problem = 'shows no heartbeat of this conductor yet'
        if problem:
            self.failed(problem)
            return
        if self.identity not in (None, found['identity']):
            self.failed('another server answers')
            with self._lock:
                # What the former one had says nothing of this one.
                self.seen = self.incarnation = None
                self.identity = found['identity']
            self.dispose()
            return
        now = self.clock()
        with self._lock:
            self.identity = found['identity']
            # Reads alone would leave one that was slow once aside for ever.
            self._took(now - began)
            self.seen = heartbeat
            self.incarnation = found['incarnation']
            self.schema = found['schema_revision']
            lags = (heartbeats.age(self.seen, now) >
                    self.settings.max_replica_lag)
            back = not lags and self.health.good(now)
        if lags:
            self.failed(LAGGING)
        if back:
            LOG.info('Replica %s is in use.', self.name)

    def _look(self, conductor_id):
        if self._engine is None:
            # Of its own, so that a probe never waits for a pool of reads.
            self._engine = setup.single(self.url)
            setup.tune(self._engine, must_exist=True)
        heartbeat = (sa.select(tables.replica_heartbeats.c.heartbeat).where(
            tables.replica_heartbeats.c.conductor_id == conductor_id))
        schema = sa.select(sa.column('version_num')).select_from(
            sa.table('alembic_version'))
        statement = sa.select(
            heartbeat.scalar_subquery().label('heartbeat'),
            sa.select(tables.databases.c.uuid).scalar_subquery()
            .label('database_id'),
            sa.select(tables.databases.c.incarnation).scalar_subquery()
            .label('incarnation'),
            schema.scalar_subquery().label('schema_revision'),
            sa.literal_column(server_sql.identity(self._engine))
            .label('identity'))
        with self._engine.connect() as connection:
            row = connection.execute(statement).mappings().one()
        return row['heartbeat'], dict(row)

    def status(self, heartbeats):
        """What ``replica list`` shows, as plain values; age in seconds."""
        candidate = self.candidate(heartbeats)
        age = candidate.age
        with self._lock:
            return {
                'node': self.name, 'role': self.role,
                'usable': candidate.usable,
                'reason': self.health.reason,
                'age': None if math.isinf(age) else round(age, 3),
                'share': round(self.health.share(self.clock()), 2),
                'reads': self.reads, 'ejections': self.ejections,
                'identity': self.identity, 'incarnation': self.incarnation,
                'schema': self.schema,
                'heartbeat_seen': self.seen,
                'heartbeat_sent': heartbeats.newest,
                'latency': round(self.latency, 6),
                'good_samples': self.health.good_in_a_row}


class Expected:
    """What a replica must be: a copy of this primary, not too old a one.

    :ivar outdated: the schemas that this code cannot work with
    """

    def __init__(self, database_id, identity, outdated):
        self.database_id = database_id
        self.identity = identity
        self.outdated = outdated

    def unfit(self, found):
        """Why the node that answered ``found`` is unfit; None if it is fit.
        """
        if found['database_id'] != self.database_id:
            return 'belongs to another database'
        if found['identity'] == self.identity:
            return 'is the primary itself'
        schema = found['schema_revision']
        if schema is None or schema in self.outdated:
            return f'has schema {schema}, too old'
        return None
