"""Periodic tasks: what one is, when it runs, how its runs went.

A module with tasks needs only what is named here.
"""

from computed.periodic.task import PeriodicTask as PeriodicTask
from computed.periodic.task import Report as Report
from computed.periodic.task import periodic_task as periodic_task
