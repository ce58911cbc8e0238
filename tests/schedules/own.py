"""What our code keeps in module globals, which each process has for itself.

The processes of a schedule share one interpreter. When another process runs,
these globals get the values of that process.
"""

from computed import metrics
from computed.db.cell import cell_clock
from computed.db.cell.database import cell
from computed.objects import base
from tests.schedules import hub

# What the object has that stands for the database, before it is configured.
_BARE = dict(vars(cell))


class Hub(hub.Hub):
    """A hub whose processes have globals of their own."""

    def load(self, process):
        if self.loaded is not None:
            self.loaded.values = (
                metrics._current, cell_clock.hearing, cell.__dict__)
        _set(process.values or _fresh())


def _fresh():
    """Return what a process has that has just begun."""
    return metrics._current, cell_clock.Hearing(), dict(_BARE)


def _set(values):
    metrics._current, cell_clock.hearing, cell.__dict__ = values


def forget():
    """Drop what the last process of a schedule has left."""
    _set(_fresh())


class _Client:
    """The client of the process that runs; a class attribute.

    To set it for each turn would empty Python's caches of all objects.
    """

    def __get__(self, instance, kind):
        here = hub.running
        return here and here.loaded and here.loaded.client


def _use_conductor(client):
    process = hub.running.loaded
    before, process.client = process.client, (
        None if client is None else base._ByContext(client))
    return before and before.default


base.ComputedObject.indirection_api = _Client()
base.use_conductor = _use_conductor
