"""A replica: what its prober knows of it, and whether it may be used."""

import contextlib
import datetime
import functools
import math
import threading
import typing
from collections import abc

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log as logging

from computed import metrics
from computed.db.engine import address
from computed.db.engine import dialects
from computed.db.engine import errors
from computed.db.engine import prepared
from computed.db.engine import server_sql
from computed.db.engine import setup
from computed.db.routing import health
from computed.db.routing import lag
from computed.db.routing import nodes
from computed.db.routing import selection
from computed.db.routing import tables
from computed.db.routing import transaction
from computed.logs import outage

LOG = logging.getLogger(__name__)

# The reason of a replica that is out of use for its age only.
LAGGING = 'lagging'
# The reason of one whose server cannot be reached.
DOWN = 'down'
# Bad samples after the start before it is out of use, and not just new.
PATIENCE = 5


class Replica(nodes.Node):
    """A copy of the primary, and what the prober knows of it.

    :ivar seen: the newest of our heartbeats that its data contains, or None
    :ivar incarnation: of the database that its data belongs to, or None
    :ivar latency: seconds that reads and probes took, as a moving average
    :ivar reads: how many reads it answered
    :ivar problem: the words of its server or driver, while it is not used
    :ivar outage: lasts while it is not used
    """

    def __init__(self, url: address.Url, settings: cfg.ConfigOpts.GroupAttr,
                 clock: abc.Callable[[], float],
                 creator: nodes.Creator | None = None) -> None:
        super().__init__(url, 'replica', settings.replica_timeout, creator)
        self.settings = settings
        self.clock = clock
        self.seen: int | None = None
        self.incarnation: str | None = None
        self.schema: str | None = None
        self.latency = 0.0
        self.in_flight = 0
        self.reads = 0
        self.ejections = 0
        self.problem: str | None = None
        self.outage = outage.Outage(
            f'Replica {self.name} is not used',
            f'Replica {self.name} has not been used for {{seconds}}',
            f'Replica {self.name} is used again after {{seconds}}.')
        self.health = health.Health(settings.replica_good_samples,
                                    settings.replica_ramp)
        self._lock = threading.Lock()
        self._engine: sa.Engine | None = None

    def candidate(self, heartbeats: lag.Heartbeats) -> selection.Candidate:
        """Return what the selection needs to know."""
        now = self.clock()
        with self._lock:
            return selection.Candidate(
                self.name, self.health.usable, heartbeats.age(self.seen, now),
                self.health.share(now) if self.health.usable else 1.0,
                # The next read waits for those that are under way.
                self.latency * (1 + self.in_flight),
                self.health.reason == LAGGING)

    def shown(self) -> tuple[int | None, str | None]:
        """Return the newest heartbeat seen, and the server it was seen on.
        """
        with self._lock:
            return self.seen, self.identity

    @contextlib.contextmanager
    def reading(self) -> abc.Iterator[None]:
        """Count a read as under way while the body runs."""
        with self._lock:
            self.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def answered(self, seconds: float) -> None:
        """Count a read that this replica answered in ``seconds``."""
        with self._lock:
            self.reads += 1
            self._average(seconds)

    def _average(self, seconds: float) -> None:
        self.latency += (seconds - self.latency) / 8

    def failed(self, reason: str, error: Exception | None = None,
               told: bool = True) -> None:
        """Take the replica out of use; good samples bring it back.

        :param reason: one of few, for metrics
        :param error: what its server or its driver said
        :param told: False: the log tells already what it is due to
        """
        problem = None if error is None else errors.problem(error)
        with self._lock:
            ejected = self.health.bad(reason)
            self.ejections += ejected
            self.problem = problem
            known = (self.health.ejected_once or
                     self.health.bad_in_a_row >= PATIENCE)
        if known:
            self.outage.lasts(f'{reason}: {problem}' if problem else reason,
                              told=told)
        if ejected:
            metrics.replica_ejections.labels(self.name, reason).inc()

    def probe(self, conductor_id: str,
              expected: abc.Callable[[], nodes.Expected],
              heartbeats: lag.Heartbeats) -> None:
        """Ask once which of our heartbeats arrived, and check the node.

        :param expected: returns what the node must be; called after that
        :param heartbeats: when each of our heartbeats was sent
        """
        began = self.clock()
        try:
            found = self._look(conductor_id)
        except Exception as error:      # any failure makes it unusable
            LOG.debug('Probe of %s failed.', self.name, exc_info=True)
            if transaction.is_lost(error):
                self.failed(DOWN, error)
            else:
                self.failed(f'error ({type(error).__name__})', error)
            return
        lag.compare(
            heartbeats, self.name, began,
            found['now'].replace(tzinfo=datetime.UTC).timestamp(),
            self.clock(), self.settings.replica_heartbeat_interval)
        wanted = expected()
        problem = wanted.unfit(found)
        if problem is None and found['heartbeat'] is None:
            problem = 'shows no heartbeat of this conductor yet'
        if problem is None and self.identity not in (None, found['identity']):
            self.failed('another server answers')
            self._forget(found['identity'])
        elif problem:
            self.failed(problem)
        else:
            self._adopt(found, began, heartbeats, wanted.primary_away)

    def _forget(self, identity: str) -> None:
        """Drop what the former server of this address had shown."""
        with self._lock:
            self.seen = self.incarnation = None
            self.identity = identity
        self.dispose()

    def _adopt(self, found: abc.Mapping[str, typing.Any], began: float,
               heartbeats: lag.Heartbeats, primary_away: bool) -> None:
        now = self.clock()
        with self._lock:
            self.identity = found['identity']
            # Without probes in the average, a replica that was slow once
            # would get no reads and stay slow forever.
            self._average(now - began)
            self.seen = found['heartbeat']
            self.incarnation = found['incarnation']
            self.schema = found['schema_revision']
            lags = (heartbeats.age(self.seen, now) >
                    self.settings.max_replica_lag)
            back = not lags and self.health.good(now)
        if lags:
            self.failed(LAGGING, told=not primary_away)
        if back and not self.outage.ends():
            LOG.info('Replica %s is in use.', self.name)

    def _look(self, conductor_id: str) -> dict[str, typing.Any]:
        if self._engine is None:
            # An engine of its own: a probe never waits for the pool of reads.
            self._engine = setup.single(self.url)
            self.prepare(self._engine)
        with self._engine.connect() as connection:
            return dict(connection.execute(
                _looking(server_sql.identity(self._engine)),
                {'the_conductor_id': conductor_id}).mappings().one())

    def status(self, heartbeats: lag.Heartbeats) -> dict[str, typing.Any]:
        """Return what ``replica list`` shows, as plain values."""
        candidate = self.candidate(heartbeats)
        age = candidate.age
        with self._lock:
            return {
                'node': self.name, 'role': self.role,
                'usable': candidate.usable,
                'reason': self.health.reason,
                'problem': None if candidate.usable else self.problem,
                'down_for': self.outage.length(),
                'age': None if math.isinf(age) else round(age, 3),
                'share': round(self.health.share(self.clock()), 2),
                'reads': self.reads, 'ejections': self.ejections,
                'identity': self.identity, 'incarnation': self.incarnation,
                'schema': self.schema,
                'heartbeat_seen': self.seen,
                'heartbeat_sent': heartbeats.newest,
                'latency': round(self.latency, 6),
                'good_samples': self.health.good_in_a_row}


@functools.lru_cache
def _looking(server: str) -> sa.Select:
    """Return what a probe asks; ``server``: an SQL expression for it."""
    database, ours = tables.database_identity.c, tables.replica_heartbeats.c
    heartbeat = sa.select(ours.heartbeat).where(
        ours.conductor_id == prepared.value('conductor_id'))
    schema: sa.Select = sa.select(sa.column('version_num')).select_from(
        sa.table('alembic_version'))
    return sa.select(
        heartbeat.scalar_subquery().label('heartbeat'),
        sa.select(database.uuid).scalar_subquery().label('database_id'),
        sa.select(database.incarnation).scalar_subquery()
        .label('incarnation'),
        schema.scalar_subquery().label('schema_revision'),
        sa.literal_column(server).label('identity'),
        dialects.exact_utcnow().label('now'))
