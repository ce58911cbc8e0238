"""[database]: replicas, how old they may be, what the primary is spared.

``connection`` and ``slave_connection`` are oslo.db's, in the same group.
"""

from oslo_config import cfg

GROUP = cfg.OptGroup('database', title='Database', help="""
Used by computed-conductor and ``computed-manage db`` only.
""")

OPTS = [
    cfg.ListOpt('replica_connections', default=[], secret=True, help="""
URLs of the replicas of ``connection``, separated by commas.
``slave_connection`` may name one more. Give their accounts the right to read
and no other.

Without any, every read goes to the primary.
"""),
    cfg.FloatOpt('max_replica_lag', min=0, default=10, mutable=True, help="""
Seconds that the answer to a read that tolerates lag may be old, unless the
request names its own bound. A bound smaller than
``replica_heartbeat_interval`` plus ``replica_probe_interval`` cannot be proven
and always means the primary.
"""),
    cfg.FloatOpt('replica_heartbeat_interval', min=0.05, default=1.0, help="""
Seconds between two heartbeats that this conductor writes to the primary to
measure how far behind each replica is. None are written without replicas.
"""),
    cfg.FloatOpt('replica_probe_interval', min=0.05, default=1.0, help="""
Seconds between two looks at each replica.
"""),
    cfg.FloatOpt('primary_timeout', min=1, default=30.0, help="""
Seconds to wait for the primary to connect or to answer one statement, before
the request fails. A primary that hangs must not hold every thread.
"""),
    cfg.FloatOpt('replica_timeout', min=0.1, default=5.0, help="""
Seconds to wait for a replica to connect or to answer, before the read goes
elsewhere and the replica is not used for a while.
"""),
    cfg.IntOpt('replica_good_samples', min=1, default=5, help="""
How many good looks in a row bring a replica back that had been taken out.
"""),
    cfg.FloatOpt('replica_ramp', min=0, default=30.0, help="""
Seconds over which a replica that came back gets its full share of reads.
"""),
    cfg.FloatOpt('fallback_reads_per_second', min=0, default=50,
                 mutable=True, help="""
How many reads a second that tolerate lag may go to the primary because no
replica is fresh enough. More are refused, to be repeated later, so that lost
replicas do not become a lost primary. Reads that tolerate no lag are never
counted or refused.

The number is the database's: conductors that live divide it among them.
"""),
    cfg.IntOpt('fallback_concurrency', min=1, default=8, mutable=True,
               help="""
How many of them at the same time; divided as well, but at least 1 each.
"""),
    cfg.FloatOpt('resync_window', min=0, default=120, mutable=True, help="""
Seconds over which hosts are spread that must read everything anew, because
the database was restored or failed over since they read it.
"""),
    cfg.IntOpt('resync_concurrency', min=1, default=4, help="""
How many reads of such hosts, and of hosts that start, one conductor runs at
the same time. More are refused, to be repeated later.
"""),
]
