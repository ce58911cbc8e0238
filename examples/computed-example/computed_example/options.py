"""The options of this package."""

from oslo_config import cfg

# The interval of a task is an option of [tasks]. computed checks that it is
# not negative, because its name ends in _interval.
TASKS: list[cfg.Opt] = [
    cfg.IntOpt('check_free_disk_interval', default=300, mutable=True, help="""
Seconds between two checks of the free disk space of this host. 0 turns the
task off.
"""),
    cfg.IntOpt('free_disk_minimum_gb', min=0, default=10, mutable=True,
               help="""
This host logs a warning while it has less free disk space than this, in GiB.
"""),
]

PAPER: list[cfg.Opt] = [
    cfg.IntOpt('vcpus', min=1, default=8, help="""
Number of processors that a host with the paper driver reports.
"""),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options by group, for the sample file."""
    return [('tasks', TASKS), ('paper', PAPER)]
