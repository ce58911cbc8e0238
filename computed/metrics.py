"""Every metric, with a comment above each.

Each service counts in a registry of its own (:class:`Registry`). So a gauge
that asks an object for its value does not keep the object alive after its
service. The definitions below lead to the registry that is in use now.
"""

import typing
from collections import abc

import prometheus_client as prom

Kind = typing.TypeVar('Kind', prom.Counter, prom.Gauge, prom.Histogram)


class Registry:
    """The metrics of one service.

    :ivar collectors: what Prometheus reads
    :ivar made: the metric of each definition
    """

    def __init__(self) -> None:
        self.collectors = prom.CollectorRegistry()
        self.made = {metric: metric.make(self.collectors)
                     for metric in _defined}

    def show_process(self) -> None:
        """Add what the library counts by itself, and other packages do."""
        self.collectors.register(prom.REGISTRY)


class Metric(typing.Generic[Kind]):
    """The definition of a metric; its values are those of ``_current``."""

    kind: type[Kind]

    def __init__(self, name: str, text: str,
                 labels: abc.Sequence[str] = ()) -> None:
        self._arguments = name, text, labels
        _defined.append(self)

    def make(self, collectors: prom.CollectorRegistry) -> Kind:
        """Return this metric in a registry."""
        return self.kind(*self._arguments, registry=collectors)

    def current(self) -> Kind:
        """Return this metric of the registry that is in use now."""
        if self not in _current.made:
            # A package defines it, and was imported after the registry.
            _current.made[self] = self.make(_current.collectors)
        return _current.made[self]

    def labels(self, *values: str) -> Kind:
        """Return the part of the metric with these values of its labels."""
        return self.current().labels(*values)


class Counter(Metric[prom.Counter]):
    """Counts events."""

    kind = prom.Counter

    def inc(self, amount: float = 1) -> None:
        self.current().inc(amount)


class Gauge(Metric[prom.Gauge]):
    """Has a value that goes up and down."""

    kind = prom.Gauge

    def set(self, value: float) -> None:
        self.current().set(value)


class Histogram(Metric[prom.Histogram]):
    """Counts values by their size."""

    kind = prom.Histogram


_defined: list[Metric[typing.Any]] = []

# Where reads went, and why: role primary|replica; reason strict,
# lag_tolerant, after_host, availability, in_transaction, no_replica,
# bound_too_small, replica_failed, replica_lagging, replica_down,
# replica_busy, replica_behind_token.
db_reads = Counter(
    'computed_db_reads', 'Database reads, by where they went and why.',
    ['query', 'role', 'reason'])

# Reads that no node may answer: Busy (too many reads at once), TooStale (the
# primary is down), Resync (the token is from an earlier incarnation of the
# database), resync_full.
db_reads_refused = Counter(
    'computed_db_reads_refused', 'Database reads refused, by reason.',
    ['query', 'reason'])

# The greatest age that the data of a node can have, as this conductor
# measured it.
replica_age_seconds = Gauge(
    'computed_replica_age_seconds', 'Greatest possible age of a replica.',
    ['node'])

# Whether a node is in use, 1 or 0.
replica_usable = Gauge(
    'computed_replica_usable', 'Whether a replica is in use.', ['node'])

# Times that a replica was taken out of use, by reason.
replica_ejections = Counter(
    'computed_replica_ejections', 'Replicas taken out of use.',
    ['node', 'reason'])

# Runs of a task: ok, error, deadline, skipped_overlap, put_off.
task_runs = Counter(
    'computed_task_runs', 'Runs of periodic tasks, by result.',
    ['task', 'result'])

# Seconds that a run took.
task_duration_seconds = Histogram(
    'computed_task_duration_seconds', 'Duration of a task run.', ['task'])

# Differences found: confirmed by the primary, or false. False ones are the
# cost of a lagging replica.
drift = Counter(
    'computed_drift', 'Differences between database and hypervisor.',
    ['task', 'verdict'])

# Repairs that changed a guest.
repairs = Counter(
    'computed_repairs', 'Repairs done, by kind.', ['task', 'kind'])

# Repairs whose call of the driver failed.
repairs_failed = Counter(
    'computed_repairs_failed', 'Repairs that failed, by kind.',
    ['task', 'kind'])

# Calls that the driver has not answered within [virt] driver_call_timeout,
# and that have not ended since.
driver_calls_hanging = Gauge(
    'computed_driver_calls_hanging', 'Calls of the driver that hang now.')

# Differences that the last pass was not allowed to repair.
brake_held = Gauge(
    'computed_brake_held', 'Repairs that a brake holds back.', ['task'])

# Guests of the hypervisor that no row of this host describes.
unknown_guests = Gauge(
    'computed_unknown_guests', 'Guests without a row of this host.')

# Instances that nothing is done to, because the database lacks what this host
# has recorded of them: it went back in time. See `instance reconcile`.
regressed_instances = Gauge(
    'computed_regressed_instances',
    'Instances that are held because their record is too old.')

# Claims that the primary refused.
claims_lost = Counter(
    'computed_claims_lost', 'Claims refused by the primary.', ['operation'])

# Interfaces that were not counted: their counters were missing or negative.
bandwidth_skipped = Counter(
    'computed_bandwidth_skipped',
    'Interfaces with missing or negative counters.')

# Volumes that were not counted: their counters were missing or negative. The
# driver may be unable to tell them of this volume alone.
volumes_skipped = Counter(
    'computed_volumes_skipped',
    'Volumes with missing or negative counters.')

# Requests that came too late: the caller had given them up, so they were not
# begun.
rpc_requests_expired = Counter(
    'computed_rpc_requests_expired',
    'Requests dropped because nobody waits for them.', ['method'])

# Requests that peers sent malformed; nothing of them was done.
rpc_requests_refused = Counter(
    'computed_rpc_requests_refused', 'Malformed requests refused.')

# Notifications that consumers can read now.
notifications_sent = Counter(
    'computed_notifications_sent', 'Notifications that were sent.')

# Notifications that nobody gets: too many waited for the broker, or the
# process has ended.
notifications_dropped = Counter(
    'computed_notifications_dropped', 'Notifications that were dropped.')

# Records that were not logged, because the reader of the log has stalled or
# its file cannot be written.
log_records_dropped = Counter(
    'computed_log_records_dropped', 'Records of the log that were dropped.')

_current = Registry()


def use(registry: Registry) -> Registry:
    """Count in ``registry`` from now on; return the former one."""
    global _current
    former, _current = _current, registry
    return former
