"""Every option of computed, registered on the ConfigOpts one passes in.

Only ``computed.cmd`` knows the process-wide one; everything else is given
its configuration, so that tests can have two.
"""

import copy

from computed.conf import compute
from computed.conf import conductor
from computed.conf import database
from computed.conf import default
from computed.conf import tasks
from computed.conf import upgrade_levels
from computed.conf import virt

MODULES = (default, compute, conductor, database, tasks, upgrade_levels,
           virt)


def register_opts(conf):
    """Register every option of computed on ``conf``."""
    conf.register_cli_opts(copy.deepcopy(default.CLI_OPTS))
    for module in MODULES:
        group = None
        if module.GROUP is not None:
            # A copy: oslo.config keeps the values inside the group object
            # it is given, so two ConfigOpts would share them.
            conf.register_group(copy.deepcopy(module.GROUP))
            group = module.GROUP.name
        conf.register_opts(module.OPTS, group=group)


def list_opts():
    """All options by group: what the sample file is generated from."""
    return [(module.GROUP, list(module.OPTS) +
             (default.CLI_OPTS if module is default else []))
            for module in MODULES]
