"""A periodic task: warn while the disk of this host is nearly full."""

from oslo_config import cfg
from oslo_log import log as logging

from computed import context as computed_context
from computed import manager as computed_manager
from computed import periodic
from computed_example import options

LOG = logging.getLogger(__name__)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options. computed calls it before it uses the task."""
    conf.register_opts(options.TASKS, group='tasks')


@periodic.periodic_task(spacing='check_free_disk_interval',
                        run_immediately=True)
def check_free_disk(manager: computed_manager.ComputeManager,
                    context: computed_context.RequestContext
                    ) -> periodic.Report:
    """Report whether this host has enough free disk space."""
    free = manager.driver.host_resources().disk_gb_free
    return judge(free, manager.conf.tasks.free_disk_minimum_gb)


def judge(free: int, minimum: int) -> periodic.Report:
    """Return the report, and log a warning if it is not empty.

    :param free: free disk space in GiB
    :param minimum: the least that is enough, in GiB
    """
    if free >= minimum:
        return periodic.Report()
    LOG.warning('Only %(free)d GB of disk are free, less than %(minimum)d.',
                {'free': free, 'minimum': minimum})
    return periodic.Report(candidates=1, note=f'{free} GB are free')
