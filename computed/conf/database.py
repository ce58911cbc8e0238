"""[database]: replicas, their lag, and the limits that protect the primary.

oslo.db registers ``connection`` and ``slave_connection`` in the same group.
"""

from oslo_config import cfg

GROUP = cfg.OptGroup('database', title='Database', help="""
Only ``computed-conductor``, ``computed-manage db`` and ``computed-status``
need this section.
""")

OPTS = [
    cfg.ListOpt('replica_connections', default=[], secret=True, help="""
URLs of the replicas of ``connection``, separated by commas.
``slave_connection`` may name one more. Give the database accounts in these
URLs the right to read and no other right.

Without replicas, every read goes to the primary.
"""),
    cfg.FloatOpt('max_replica_lag', min=0, default=10, mutable=True, help="""
The maximum age in seconds of the answer to a tolerant read, unless the
request sets its own bound. If a bound is smaller than
``replica_heartbeat_interval`` plus ``replica_probe_interval``, no replica can
be proven to be fresh enough, and the read always goes to the primary.
"""),
    cfg.FloatOpt('replica_heartbeat_interval', min=0.05, default=1.0, help="""
Seconds between two heartbeats that this conductor writes to the primary in
order to measure the lag of each replica. Without replicas it writes none.
"""),
    cfg.FloatOpt('replica_probe_interval', min=0.05, default=1.0, help="""
Seconds between two probes of each replica.
"""),
    cfg.FloatOpt('primary_timeout', min=1, default=30.0, help="""
Seconds to wait for the primary to connect or to answer one statement. After
that the request fails, so that a primary that hangs does not hold every
thread.
"""),
    cfg.FloatOpt('replica_timeout', min=0.1, default=5.0, help="""
Seconds to wait for a replica to connect or to answer. After that the read
goes to another node, and the replica is not used for a while.
"""),
    cfg.IntOpt('replica_good_samples', min=1, default=5, help="""
How many successful probes in a row a replica that was ejected needs before it
is used again.
"""),
    cfg.FloatOpt('replica_ramp', min=0, default=30.0, help="""
Seconds over which a replica that is used again gets back its full share of
the reads.
"""),
    cfg.FloatOpt('fallback_reads_per_second', min=0, default=50,
                 mutable=True, help="""
How many tolerant reads per second may go to the primary because no replica is
fresh enough. Reads above this limit are refused and must be repeated later,
so that a loss of replicas does not overload the primary. Strict reads are
neither counted nor refused.

The limit is for the whole database: the conductors that are alive share it
equally.
"""),
    cfg.IntOpt('fallback_concurrency', min=1, default=8, mutable=True,
               help="""
How many of these reads may run on the primary at the same time. The conductors
that are alive share this limit too, but each may always run at least 1.
"""),
    cfg.FloatOpt('resync_window', min=0, default=120, mutable=True, help="""
After the database was restored or failed over, every host must read
everything again. This is the number of seconds over which these reads are
spread.
"""),
    cfg.IntOpt('resync_concurrency', min=1, default=4, help="""
How many reads of such hosts, and of hosts that start, one conductor runs at
the same time. Further reads are refused and must be repeated later.
"""),
]
