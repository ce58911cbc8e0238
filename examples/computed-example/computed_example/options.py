"""The options of this package."""

from oslo_config import cfg

# The interval of a task is an option of [tasks]; computed knows by the name,
# which ends in _interval, that it must not be negative.
TASKS = [
    cfg.IntOpt('check_free_disk_interval', default=300, mutable=True, help="""
Seconds between two looks at the free disk space of this host. 0 turns them
off.
"""),
    cfg.IntOpt('free_disk_minimum_gb', min=0, default=10, mutable=True,
               help="""
Gigabytes of free disk space below which this host warns.
"""),
]

PAPER = [
    cfg.IntOpt('vcpus', min=1, default=8, help="""
How many processors a host of the paper driver claims to have.
"""),
]


def list_opts():
    """The options by group, for the sample file."""
    return [('tasks', TASKS), ('paper', PAPER)]
