"""Keep what each task remembers from pass to pass, in one small file."""

import os
import threading
import typing
import urllib.parse
from collections import abc

from oslo_log import log as logging

from computed import clock as clock_module
from computed import files
from computed.logs import seldom
from computed.repair import brakes
from computed.repair import state

LOG = logging.getLogger(__name__)

# Names in the file, beside the count of repairs: the warnings of the last
# pass, by uuid, and the names of the rows that the brake held then.
WARNED, BRAKED = 'warned', 'braked'
# What was named in the log because it has no instance, by uuid.
UNKNOWN = 'unknown'
# What a restart of the machine explains: the uuids of instances, and the end
# of this, in seconds of the clock of this start of the machine.
EXPLAINED = 'explained'
# Seconds after the first look for which a restart explains anything.
DEADLINE = 3600.0
# The incarnation of the database in the last pass.
INCARNATION = 'incarnation'


class TaskMemory:
    """What one task remembers.

    :ivar hourly: its repairs of the last hour
    :ivar lines: writes what every pass would say once a minute
    :ivar listed: what the task has noted of the last list; None: it has read
        none since the service started
    """

    def __init__(self, kept: state.State,
                 clock: abc.Callable[[], float] = clock_module.monotonic,
                 ) -> None:
        self._kept = kept
        self._clock = clock
        self._lock = threading.Lock()
        self.hourly = brakes.Hourly(kept)
        self.lines = seldom.Seldom(LOG)
        self.listed: typing.Any = None

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
    def unknown(self) -> list[str]:
        """Return the uuids without an instance that the last pass has told.
        """
        found = self._kept.get(UNKNOWN)
        return found if isinstance(found, list) else []

    @unknown.setter
    def unknown(self, uuids: list[str]) -> None:
        self._kept.note(UNKNOWN, uuids)

    @property
    def explained(self) -> frozenset[str]:
        """Return the instances whose difference a restart explains."""
        found = self._kept.get(EXPLAINED)
        try:
            uuids, until = found['uuids'], found['until']
            # Of another start of the machine is what ends far from now.
            left = until - self._clock()
            return frozenset(uuids if 0 < left <= DEADLINE else ())
        except (KeyError, TypeError):
            return frozenset()

    def explain(self, uuids: abc.Iterable[str]) -> None:
        """Note what differs in the first look after a restart."""
        self._kept.note(EXPLAINED, {
            'uuids': sorted(uuids), 'until': self._clock() + DEADLINE})

    def explain_only(self, uuids: abc.Collection[str]) -> None:
        """Note that of what is explained only this still differs."""
        with self._lock:
            before = self.explained
            if before - frozenset(uuids):
                self._kept.note(EXPLAINED, {
                    **self._kept.get(EXPLAINED),
                    'uuids': sorted(before & frozenset(uuids))})

    def settle(self, uuid: str) -> None:
        """Note that a difference which a restart explained is no more."""
        self.explain_only(self.explained - {uuid})

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
