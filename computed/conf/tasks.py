"""[tasks]: how often each periodic task runs, and how much it may change."""

from oslo_config import cfg

from computed.conf import audit_period

GROUP = cfg.OptGroup('tasks', title='Periodic tasks', help="""
How often each periodic task of a host runs, in seconds, and how much it may
change. An interval of 0 turns the task off.
""")



def _mode(name: str, what: str) -> cfg.Opt:
    """Return the option that says what a task may change."""
    return cfg.StrOpt(
        name, default='enforce', mutable=True,
        choices=[('enforce', f'end {what}'),
                 ('observe', 'only count and log them'),
                 ('off', 'do not run')],
        help=f"""
What is done with {what}.
""")


OPTS = [
    cfg.IntOpt('sync_power_state_interval', default=600, mutable=True,
               help="""
Seconds between two checks that every instance of this host is in the power
state that the database records. 0 turns the check off.

The check first asks a replica which instances look wrong, and then asks the
primary only about these. With replicas a short interval is cheap.

Related options:

* ``[database] replica_connections``
* ``[database] max_replica_lag``
"""),
    cfg.StrOpt('sync_power_state_mode', default='enforce', mutable=True,
               choices=[
                   ('enforce', 'repair instances that differ'),
                   ('observe', 'record power states; only count and log the '
                               'repairs'),
                   ('off', 'do not run')],
               help="""
What the power state check may change.
"""),
    cfg.IntOpt('sync_power_state_pool_size', min=1, default=5, mutable=True,
               help="""
How many instances that differ are checked and repaired at the same time.
"""),
    cfg.StrOpt('stop_unexpectedly_running', default='stop', mutable=True,
               choices=[
                   ('stop', 'stop the guest'),
                   ('adopt', 'record the instance as active'),
                   ('log', 'log a warning and change nothing')],
               help="""
What to do with a guest that runs although its instance is recorded as stopped.
"""),
    cfg.IntOpt('build_time_check_interval', default=60, mutable=True,
               help="""
Seconds between two checks whether a build of this host takes too long. 0 turns
the check off.

Related options:

* ``instance_build_timeout``
"""),
    cfg.IntOpt('instance_build_timeout', min=0, default=0, mutable=True,
               help="""
Seconds after which a build becomes an error. They count from when this host
begins it, by the clock of the database. 0 means that a build may take any
time.

The instance is in the state error at once. Its guest is removed as soon as the
driver returns, and only then can something else be done to the instance.
"""),
    _mode('instance_build_timeout_mode', 'builds that take too long'),
    cfg.IntOpt('rebooting_poll_interval', default=60, mutable=True,
               help="""
Seconds between two checks whether a soft reboot of this host takes too long. 0
turns the check off.

Related options:

* ``reboot_timeout``
"""),
    cfg.IntOpt('reboot_timeout', min=0, default=0, mutable=True, help="""
Seconds after which a soft reboot becomes a hard one: the guest is not waited
for any more. They count from when this host begins it, by the clock of the
database. 0 means that a soft reboot is left alone. If the hard reboot fails,
the instance becomes an error.

Related options:

* ``[virt] shutdown_timeout``
"""),
    _mode('reboot_timeout_mode', 'soft reboots that take too long'),
    cfg.IntOpt('update_resources_interval', default=60, mutable=True,
               help="""
Seconds between two updates of the resources of this host: how much it has,
and how much of it is promised to instances. 0 turns the updates off, except
for the one at the start.

An update costs one read on the primary, and a write only if something has
changed. It also finds the guests of instances that were deleted without this
host, and destroys them.

Related options:

* the group ``[compute]``
"""),
    cfg.IntOpt('max_repairs_per_pass', min=0, default=0, mutable=True,
               help="""
The maximum number of instances that one pass of a task, or all its passes
within one hour, may repair. If more instances look wrong, even after a second
look at the primary and the hypervisor, the task repairs none of them and logs
an error, because so many differences rather mean that the hypervisor is broken
or the database is wrong. A guest whose exit code is known does not count. 0
means 10 or a quarter of the instances of the host, whichever is more.

``computed-manage task run NAME --accept N`` allows up to N repairs in one run.
"""),
    cfg.IntOpt('reclaim_poll_interval', default=60, mutable=True, help="""
Seconds between two looks for soft-deleted instances whose time is over. 0
turns them off. Without a ``reclaim_instance_interval`` a look reads nothing.
"""),
    cfg.IntOpt('reclaim_instance_interval', default=0, mutable=True, help="""
Seconds for which a deleted instance can be restored. ``instance delete`` only
stops its guest, and the instance is ``soft-delete``: ``instance restore``
brings it back. After this time it is deleted for good. An
instance that never ran is deleted at once.

0 deletes each instance at once. Then those that are ``soft-delete`` already
stay so, until ``instance restore`` or ``instance delete --force``.

Related options:

* ``reclaim_poll_interval``
* ``reclaim_instance_mode``
* ``max_repairs_per_pass``
"""),
    cfg.StrOpt('reclaim_instance_mode', default='enforce', mutable=True,
               choices=[
                   ('enforce', 'delete instances whose time is over'),
                   ('observe', 'only count and log them'),
                   ('off', 'do not run')],
               help="""
What the task ``_reclaim_queued_deletes`` may do.
"""),
    cfg.IntOpt('bandwidth_poll_interval', default=600, mutable=True, help="""
Seconds between two readings of the byte counters of all interfaces of the
instances of this host. 0 turns the readings off.

A reading costs one statement on the primary, for any number of interfaces. If
a guest ends by itself, its bytes since the last reading are not counted. If a
user stops it, the counters are read once more before that.

Related options:

* ``instance_usage_audit_period``
"""),
    cfg.IntOpt('volume_usage_poll_interval', default=0, mutable=True, help="""
Seconds between two readings of what the instances of this host have read and
written of their volumes. 0 turns the readings off.

A reading costs one statement on a replica and one on the primary, for up to
1000 volumes. Before a volume is detached, and before its instance is stopped,
rebooted or deleted, the counters are read once more, also with 0 here.
"""),
    cfg.IntOpt('scheduler_instance_sync_interval', default=120, mutable=True,
               help="""
Seconds between two times that this host tells a conductor which instances it
has. A digest is told, and the whole list if the conductor asks for it. 0 turns
this off.

Related options:

* ``[filter_scheduler] track_instance_changes``
"""),
    cfg.IntOpt('instance_delete_interval', default=300, mutable=True, help="""
Seconds between two looks for what is to be deleted: console tokens that have
expired, and files of deleted instances. 0 turns them off.

Related options:

* ``maximum_instance_delete_attempts``
* ``instance_delete_mode``
"""),
    cfg.IntOpt('maximum_instance_delete_attempts', min=1, default=5,
               mutable=True, help="""
How often this host tries to remove the files of a deleted instance. The first
attempt is the delete itself. Each next one comes after twice the time, which
begins with ``instance_delete_interval``. After the last one an error is
logged, and the files are left to the operator.
"""),
    cfg.StrOpt('instance_delete_mode', default='enforce', mutable=True,
               choices=[
                   ('enforce', 'remove files of deleted instances'),
                   ('observe', 'only count and log them'),
                   ('off', 'do not run')],
               help="""
What the task ``_run_pending_deletes`` may do.
"""),
    cfg.IntOpt('running_deleted_instance_poll_interval', default=1800,
               mutable=True, help="""
Seconds between two looks for guests whose instances are deleted. The first one
comes soon after the start of the daemon. 0 turns them off.

Related options:

* ``running_deleted_instance_action``
"""),
    cfg.StrOpt('running_deleted_instance_action', default='reap', mutable=True,
               choices=[
                   ('noop', 'do nothing'),
                   ('log', 'log a warning for each'),
                   ('shutdown', 'power the guest off, and keep it'),
                   ('reap', 'destroy the guest with its files')],
               help="""
What is done with a guest of this host whose instance is deleted.

Related options:

* ``running_deleted_instance_timeout``
* ``running_deleted_instance_mode``
* ``max_repairs_per_pass``
"""),
    cfg.IntOpt('running_deleted_instance_timeout', min=0, default=0,
               mutable=True, help="""
Seconds after the delete of an instance for which its guest is left alone, by
the clock of the database.
"""),
    _mode('running_deleted_instance_mode', 'guests of deleted instances'),
    cfg.BoolOpt('remove_unknown_files', default=False, mutable=True, help="""
Whether ``_run_pending_deletes`` also removes files that a guest has left of
which the database knows no instance. Otherwise it only names them in the log.
"""),
    cfg.IntOpt('usage_audit_poll_interval', default=60, mutable=True, help="""
Seconds between two looks whether a period of accounting is over, so that the
instances of this host are to be reported. 0 turns the looks off.

Related options:

* ``instance_usage_audit``
"""),
    cfg.BoolOpt('instance_usage_audit', default=False, mutable=True, help="""
Whether this host reports after each period which instances it had in it: one
notification ``compute.instance.exists`` for each. It begins within the first
hour after the period, or the first half of a period of an hour.

Related options:

* ``usage_audit_poll_interval``
* ``instance_usage_audit_period``
* ``[notifications] driver`` of the conductors
"""),
    cfg.Opt('instance_usage_audit_period', type=audit_period.AuditPeriod(),
            default='month', mutable=True, help="""
The periods by which usage is counted, in UTC: ``hour``, ``day``, ``month`` or
``year``. An offset moves their begin: ``hour@15`` begins 15 minutes past each
hour, ``day@6`` at 6 o'clock, ``month@10`` on the 10th (at most the 28th),
``year@4`` in April. Bytes between the last reading of one period and the
first reading of the next count for the next.
"""),
]
