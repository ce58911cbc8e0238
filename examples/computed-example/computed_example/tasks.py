"""A periodic task: warn while the disk of this host is nearly full."""

from oslo_log import log as logging

from computed import periodic
from computed_example import options

LOG = logging.getLogger(__name__)


def register_opts(conf):
    """Called by computed before it uses a task of this module."""
    conf.register_opts(options.TASKS, group='tasks')


@periodic.periodic_task(spacing='check_free_disk_interval',
                        run_immediately=True)
def check_free_disk(manager, context):
    """``manager`` is the :class:`computed.manager.ComputeManager`."""
    free = manager.driver.host_resources().disk_gb_free
    return judge(free, manager.conf.tasks.free_disk_minimum_gb)


def judge(free, minimum):
    """What to report, and to warn of; both numbers in gigabytes."""
    if free >= minimum:
        return periodic.Report()
    LOG.warning('Only %(free)d GB of disk are free, less than %(minimum)d.',
                {'free': free, 'minimum': minimum})
    return periodic.Report(candidates=1, note=f'{free} GB are free')
