"""What our code keeps in module globals, which each process has for itself.

The processes of a schedule share one interpreter. When another process runs,
these globals get the values of that process.
"""

from computed import metrics
from computed.db.cell import cell_clock
from computed.db.cell.database import cell
from computed.objects import base
from tests.schedules import hub

PLACES = ((base.ComputedObject, 'indirection_api'), (metrics, '_current'),
          (cell_clock, 'hearing'))
# Attributes of the object that stands for the database of the cell.
DATABASE = ('router', 'max_page', 'down_after')


class Hub(hub.Hub):
    """A hub whose processes have globals of their own."""

    def load(self, process):
        if self.loaded is not None:
            self.loaded.values = _now()
        _set(process.values or _fresh())


def _now():
    return ([getattr(owner, name) for owner, name in PLACES],
            {name: vars(cell)[name] for name in DATABASE
             if name in vars(cell)})


def _fresh():
    """Return what a process has that has just begun."""
    return [None, metrics._current, cell_clock.Hearing()], {}


def _set(values):
    ours, database = values
    for (owner, name), value in zip(PLACES, ours, strict=True):
        setattr(owner, name, value)
    for name in DATABASE:
        vars(cell).pop(name, None)
    vars(cell).update(database)


def forget():
    """Drop what the last process of a schedule has left."""
    _set(_fresh())
