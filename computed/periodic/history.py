"""Keep the records of the last runs of each task, in memory and on disk."""

import collections
import dataclasses
import os
import threading
import typing

from oslo_log import log as logging

from computed import files
from computed import periodic
from computed.logs import outage

LOG = logging.getLogger(__name__)

OK = 'ok'
ERROR = 'error'
PUT_OFF = 'put_off'

KEPT = 50       # runs of each task


@dataclasses.dataclass(kw_only=True)
class Record(periodic.Report):
    """One run of a task, with the report that the task returned.

    :ivar task: the name of the task
    :ivar started_at: seconds since 1970
    :ivar request_id: the id in the log lines of this run; None if the run
        failed before it had one
    :ivar duration: seconds
    :ivar outcome: ``ok``, ``error``, or ``put_off`` if the task was told to
        come back later
    :ivar error: one line that says why the outcome is not ``ok``, or None
    :ivar reads: how many reads each role of node (``primary``, ``replica``)
        answered
    :ivar triggered: an operator asked for this run
    """

    task: str
    started_at: float
    request_id: str | None = None
    duration: float = 0.0
    outcome: str = OK
    error: str | None = None
    reads: dict[str, int] = dataclasses.field(default_factory=dict)
    triggered: bool = False

    def include(self, report: periodic.Report) -> None:
        """Copy the values of ``report``, converted to plain values.

        :raises TypeError: a value is not a number
        :raises ValueError: a value is not a number
        """
        for field in dataclasses.fields(periodic.Report):
            value = getattr(report, field.name)
            if field.name != 'note':
                value = int(value)
            elif value is not None:
                value = str(value)
            setattr(self, field.name, value)

    @property
    def ended_at(self) -> float:
        """Return when the run ended, in seconds since 1970."""
        return self.started_at + self.duration

    def as_dict(self) -> dict[str, typing.Any]:
        """Return the record as plain values, for JSON and for RPC."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, typing.Any]) -> 'Record':
        """Make a record from the file; ignore what a newer release added.

        :raises TypeError: ``values`` is not a record
        :raises ValueError: ``values`` is not a record
        """
        known = {field.name for field in dataclasses.fields(cls)}
        record = cls(**{name: value for name, value in values.items()
                        if name in known})
        record.started_at = float(record.started_at)
        record.duration = float(record.duration)
        return record


class History:
    """The records of the last runs of each task; they survive a restart.

    The records inform operators; no decision rests on them. So a file that
    cannot be read or written costs a warning, but never a run.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Make an empty history.

        :param folder: the folder of the file; it is made if it is missing
        """
        self._path = files.below(folder, 'task-records.json')
        self._rings: dict[str, collections.deque[Record]] = {}
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._unsaved = False
        self._unwritten = outage.Outage(
            'Records of task runs cannot be written. The tasks run on, but a '
            'restart loses the records',
            'Records of task runs could not be written for {seconds}',
            'Records of task runs are written again after {seconds}.')
        # Whether the file that was there was damaged.
        self._damaged = False

    @property
    def unsaved(self) -> bool:
        """Tell whether there are records that are not on disk."""
        return self._unsaved

    def load(self) -> None:
        """Read the records that an earlier run of the service has saved."""
        try:
            rings = self._kept()
        except (files.Damaged, OSError) as error:
            self._damaged = True
            LOG.warning('Cannot read the records of earlier task runs: '
                        '%s. The file is left as it is, and no records are '
                        'written until it is moved away.',
                        files.explained(error))
            return
        with self._lock:
            for name, runs in rings.items():
                self._ring(name).extend(runs)

    def _kept(self) -> dict[str, list[Record]]:
        """Return the records that the file has.

        :raises computed.files.Damaged: it is damaged
        :raises OSError: it cannot be read
        """
        values = files.read_json(self._path)
        with files.understood(self._path):
            return {name: [Record.from_dict(run) for run in runs]
                    for name, runs in (
                        {} if values is None else values).items()}

    def add(self, record: Record) -> None:
        """Add the record of a run."""
        with self._lock:
            self._ring(record.task).append(record)
            self._unsaved = True

    def of(self, name: str) -> list[Record]:
        """Return the records of the task ``name``, oldest first."""
        with self._lock:
            return list(self._rings.get(name, ()))

    def last(self, name: str) -> Record | None:
        """Return the record of the last run of a task, or None."""
        return next(reversed(self.of(name)), None)

    def save(self) -> None:
        """Write the records to disk; warn if that is impossible."""
        with self._saving:      # or an older state could replace a newer one
            with self._lock:
                if not self._unsaved:
                    return
                if self._damaged and os.path.lexists(self._path):
                    return
                self._unsaved = self._damaged = False
                values = {name: [run.as_dict() for run in ring]
                          for name, ring in self._rings.items()}
            try:
                files.make_private(os.path.dirname(self._path))
                files.write_json(self._path, values)
            except (OSError, TypeError, ValueError) as error:
                self._unsaved = True
                self._unwritten.lasts(f'{self._path}: {error}')
            else:
                self._unwritten.ends()

    def _ring(self, name: str) -> collections.deque[Record]:
        return self._rings.setdefault(name, collections.deque(maxlen=KEPT))
