"""Keep what each task remembers from pass to pass, in one small file."""

import os
import threading
import urllib.parse

from computed import files
from computed.repair import brakes
from computed.repair import state

# Names in the file, beside the count of repairs: the warnings of the last
# pass, by uuid, and the names of the rows that the brake held then.
WARNED, BRAKED = 'warned', 'braked'
# The incarnation of the database in the last pass.
INCARNATION = 'incarnation'


class TaskMemory:
    """What one task remembers.

    :ivar hourly: its repairs of the last hour
    """

    def __init__(self, kept: state.State) -> None:
        self._kept = kept
        self.hourly = brakes.Hourly(kept)

    @property
    def warned(self) -> dict[str, str]:
        """Return the warnings of the last pass, ``{uuid: warning}``."""
        found = self._kept.get(WARNED)
        return found if isinstance(found, dict) else {}

    @warned.setter
    def warned(self, warnings: dict[str, str]) -> None:
        self._kept.note(WARNED, warnings)

    @property
    def braked(self) -> str | None:
        """Return the names of the rows that the brake held last time."""
        return self._kept.get(BRAKED)

    @braked.setter
    def braked(self, names: str | None) -> None:
        self._kept.note(BRAKED, names)


    @property
    def incarnation(self) -> str | None:
        """Return the incarnation of the database in the last pass."""
        return self._kept.get(INCARNATION)

    @incarnation.setter
    def incarnation(self, incarnation: str) -> None:
        self._kept.note(INCARNATION, incarnation)


class Memory:
    """What all tasks of a host remember, by the name of the task."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        """:param folder: None: nothing outlives this object"""
        self._folder = folder
        self._tasks: dict[str, TaskMemory] = {}
        self._lock = threading.Lock()

    def of(self, task: str) -> TaskMemory:
        """Return what one task remembers; the same object each time."""
        with self._lock:
            if task not in self._tasks:
                # A package may have given its task any name.
                name = urllib.parse.quote(task, safe='')
                self._tasks[task] = TaskMemory(state.State(
                    self._folder and files.below(
                        self._folder, f'{name}.json')))
            return self._tasks[task]
