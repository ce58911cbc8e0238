"""Run a manager that was written for oslo.service on computed's runner."""

import os

from oslo_service import periodic_task

from computed import context
from computed.periodic import runner


# begin manager
class Janitor(periodic_task.PeriodicTasks):
    """Remove old files. Nothing here depends on computed."""

    @periodic_task.periodic_task(spacing=30, run_immediately=True)
    def _sweep(self, context):
        for name in os.listdir(self.folder):
            if name.endswith('.tmp'):
                os.remove(os.path.join(self.folder, name))
# end manager


# begin run
def run(conf, folder, host):
    """Run the janitor's tasks until ``stop()`` of the result is called.

    :param conf: has computed's options, see ``computed.conf.register_opts``
    :param folder: the folder to remove files from
    :param host: a name, which decides when within the spacing tasks run
    """
    janitor = Janitor(conf)
    janitor.folder, janitor.host = folder, host
    tasks = runner.Runner(conf, janitor, context.new, conf.state_path)
    tasks.start()
    return tasks
# end run
