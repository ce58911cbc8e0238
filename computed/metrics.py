"""Every metric, a comment above each."""

import prometheus_client as prom

from computed import exception


def serve(option, address):
    """Let Prometheus ask for all of them, at ``/metrics``.

    :param option: where ``address`` was configured
    :param address: ``HOST:PORT``, an IPv6 address in brackets; empty: not
        at all
    :raises computed.exception.ConfigError: nothing can listen there
    """
    if not address:
        return
    host, _, port = address.rpartition(':')
    try:
        prom.start_http_server(int(port), host.strip('[]'))
    except (OSError, ValueError, OverflowError) as error:
        raise exception.ConfigError(
            option=option, value=address,
            problem=getattr(error, 'strerror', None) or
            f'{port!r} is not a port',
            remedy='Give HOST:PORT of this machine, such as '
                   '127.0.0.1:9180, or nothing.') from error

# Where reads went, and why: role primary|replica; reason strict,
# lag_tolerant, after_host, availability, in_transaction, no_replica,
# bound_too_small, replica_failed, replica_lagging, replica_busy,
# replica_behind_token.
db_reads = prom.Counter(
    'computed_db_reads', 'Database reads, by where they went and why.',
    ['query', 'role', 'reason'])

# Reads that no node may answer: Busy (the budget is spent), TooStale (the
# primary is down), Resync (of a former life of the database), resync_full.
db_reads_refused = prom.Counter(
    'computed_db_reads_refused', 'Database reads refused, by why.',
    ['query', 'reason'])

# How old the data of a node can be at most, as this conductor measured.
replica_age_seconds = prom.Gauge(
    'computed_replica_age_seconds', 'Greatest possible age of a replica.',
    ['node'])

# Whether a node is in use, 1 or 0.
replica_usable = prom.Gauge(
    'computed_replica_usable', 'Whether a replica is in use.', ['node'])

# Times a replica was taken out of use, by why.
replica_ejections = prom.Counter(
    'computed_replica_ejections', 'Replicas taken out of use.',
    ['node', 'reason'])

# Runs of a task: ok, error, deadline, skipped_overlap, put_off.
task_runs = prom.Counter(
    'computed_task_runs', 'Runs of periodic tasks, by result.',
    ['task', 'result'])

# How long a run took.
task_duration_seconds = prom.Histogram(
    'computed_task_duration_seconds', 'Duration of a task run.', ['task'])

# Differences found: confirmed by the primary, or false (the price of lag).
drift = prom.Counter(
    'computed_drift', 'Differences between database and hypervisor.',
    ['task', 'verdict'])

# What was changed in the world.
repairs = prom.Counter(
    'computed_repairs', 'Repairs done, by kind.', ['task', 'kind'])

# What a brake holds back now: differences that the last pass may not repair.
brake_held = prom.Gauge(
    'computed_brake_held', 'Repairs that a brake holds back.', ['task'])

# Guests of the hypervisor that no row of this host describes.
unknown_guests = prom.Gauge(
    'computed_unknown_guests', 'Guests without a row of this host.')

# Claims that the primary refused.
claims_lost = prom.Counter(
    'computed_claims_lost', 'Claims refused by the primary.', ['operation'])

# Interfaces whose counters were missing or negative, and were not counted.
bandwidth_skipped = prom.Counter(
    'computed_bandwidth_skipped', 'Interfaces with counters of no use.')
