"""[tasks]: how often each periodic task runs, and its brakes."""

from oslo_config import cfg

GROUP = cfg.OptGroup('tasks', title='Periodic tasks', help="""
How often each periodic task of a host runs, in seconds, and how much it may
change. 0 turns a task off.
""")

OPTS = [
    cfg.IntOpt('sync_power_state_interval', default=600, mutable=True,
               help="""
Seconds between two checks that every instance of this host is in the power
state the database records. 0 turns the check off.

The check asks a replica which instances look wrong, and the primary only
about those, so a short interval is cheap where replicas are configured.

Related options:

* ``[database] replica_connections``
* ``[database] max_replica_lag``
"""),
    cfg.StrOpt('sync_power_state_mode', default='enforce', mutable=True,
               choices=[
                   ('enforce', 'repair what differs'),
                   ('observe', 'record power states; count and log repairs '
                               'that would have been done'),
                   ('off', 'do not run')],
               help="""
What the power state check may do.
"""),
    cfg.IntOpt('sync_power_state_pool_size', min=1, default=5, mutable=True,
               help="""
How many instances that differ are looked at side by side.
"""),
    cfg.StrOpt('stop_unexpectedly_running', default='stop', mutable=True,
               choices=[
                   ('stop', 'stop the guest, as recorded'),
                   ('adopt', 'record the instance as active'),
                   ('log', 'warn, and leave both as they are')],
               help="""
What to do with a guest that runs although its instance was stopped.
"""),
    cfg.IntOpt('update_resources_interval', default=60, mutable=True,
               help="""
Seconds between two looks at what this host has and what of it is promised to
instances. 0 turns them off, but for the one at start.

A look costs one read on the primary, and a write only if something changed.

Related options:

* the group ``[compute]``
"""),
    cfg.IntOpt('max_repairs_per_pass', min=0, default=0, mutable=True,
               help="""
How many instances one pass of a task, or all its passes within an hour, may
repair. If more look wrong, even on a second look at the primary and the
hypervisor, none is touched and an error says so: such a number rather means a
broken hypervisor or a wrong database. A guest whose exit code is known does
not count. 0 stands for the greater of 10 and a
quarter of the host's instances.

``computed-manage task run NAME --accept N`` lets one pass through.
"""),
    cfg.IntOpt('bandwidth_poll_interval', default=600, mutable=True, help="""
Seconds between two readings of the byte counters of every interface of this
host's instances. 0 turns it off.

A reading costs one statement on the primary, whatever the number of
interfaces. What a guest carries between the last reading and an end of its
own is not counted; an end that users ask for is preceded by a reading.

Related options:

* ``instance_usage_audit_period``
"""),
    cfg.StrOpt('instance_usage_audit_period', default='month', mutable=True,
               help="""
The periods by which usage is counted, in UTC: ``hour``, ``day``, ``month`` or
``year``. With ``@`` and a number they begin elsewhere: ``hour@15`` 15 minutes
past each hour, ``day@6`` at 6 o'clock, ``month@10`` on the 10th (at most the
28th), ``year@4`` in April. What is between the last reading of one period and
the first of the next counts to the next.
"""),
]
