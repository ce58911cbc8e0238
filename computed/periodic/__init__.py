"""Declare periodic tasks: functions that each host runs again and again.

A module with tasks needs only the three names of this package::

    from computed import periodic

    @periodic.periodic_task(spacing='check_free_disk_interval')
    def _check_free_disk(manager, context):
        found = look(manager.driver)
        return periodic.Report(candidates=len(found))

:func:`periodic_task` declares a task, :class:`PeriodicTask` is what it
returns, and a task returns a :class:`Report` (or None). The other modules of
this package are for the service: they decide when a task is due, run it, and
keep records of its runs.
"""

from computed.periodic.task import PeriodicTask as PeriodicTask
from computed.periodic.task import Report as Report
from computed.periodic.task import periodic_task as periodic_task
