"""Register every option of computed on a ConfigOpts.

Only ``computed.cmd`` knows the ConfigOpts of the process. All other code gets
its configuration from its caller, so that one test can use two of them.
"""

import copy

from oslo_config import cfg

from computed.conf import compute
from computed.conf import conductor
from computed.conf import consoleauth
from computed.conf import database
from computed.conf import default
from computed.conf import filter_scheduler
from computed.conf import notifications
from computed.conf import process
from computed.conf import reports
from computed.conf import tasks
from computed.conf import upgrade_levels
from computed.conf import virt

MODULES = (default, compute, conductor, consoleauth, database,
           filter_scheduler, notifications, process, reports, tasks,
           upgrade_levels, virt)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register every option of computed on ``conf``."""
    conf.register_cli_opts(copy.deepcopy(default.CLI_OPTS))
    for module in MODULES:
        group = None
        if module.GROUP is not None:
            # A copy: oslo.config keeps the values inside the group object,
            # so two ConfigOpts would share them.
            conf.register_group(copy.deepcopy(module.GROUP))
            group = module.GROUP.name
        conf.register_opts(module.OPTS, group=group)


def list_opts() -> list[tuple[cfg.OptGroup | None, list[cfg.Opt]]]:
    """Return all options by group, for the generator of the sample file."""
    return [(module.GROUP, list(module.OPTS) +
             (default.CLI_OPTS if module is default else []))
            for module in MODULES]
