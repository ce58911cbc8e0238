"""What each run of a task left behind: the last ones, kept on disk."""

import collections
import dataclasses
import os
import threading

from oslo_log import log as logging

from computed import files
from computed import periodic

LOG = logging.getLogger(__name__)

OK = 'ok'
ERROR = 'error'
PUT_OFF = 'put_off'

KEPT = 50       # runs of each task


@dataclasses.dataclass(kw_only=True)
class Record(periodic.Report):
    """One run of a task, and the report the task made of it.

    :ivar task: its name
    :ivar request_id: what marks the log lines of this run; None if it
        failed before it had one
    :ivar started_at: seconds since 1970
    :ivar duration: seconds
    :ivar outcome: ``ok``, ``error``, or ``put_off``: asked to come back
        later
    :ivar error: one line that says why it is not ok, or None
    :ivar reads: how many reads were answered by each role of node
    :ivar triggered: somebody asked for this run
    """

    task: str
    started_at: float
    request_id: str | None = None
    duration: float = 0.0
    outcome: str = OK
    error: str | None = None
    reads: dict = dataclasses.field(default_factory=dict)
    triggered: bool = False

    def include(self, report):
        """Take over what the task itself reported, as plain values.

        :raises TypeError: it did not report numbers
        :raises ValueError: the same
        """
        for field in dataclasses.fields(periodic.Report):
            value = getattr(report, field.name)
            if field.name != 'note':
                value = int(value)
            elif value is not None:
                value = str(value)
            setattr(self, field.name, value)

    @property
    def ended_at(self):
        """Seconds since 1970."""
        return self.started_at + self.duration

    @classmethod
    def from_dict(cls, values):
        """A record from the file; what a newer version added is ignored.

        :raises TypeError: it is none
        :raises ValueError: it is none
        """
        known = {field.name for field in dataclasses.fields(cls)}
        record = cls(**{name: value for name, value in values.items()
                        if name in known})
        record.started_at = float(record.started_at)
        record.duration = float(record.duration)
        return record


class History:
    """The last runs of each task; survives restarts of the daemon.

    It informs people and decides nothing, so it gives way to everything: a
    file that cannot be read or written costs a warning, never a run.
    """

    def __init__(self, folder):
        """:param folder: where the file is, or will be made"""
        self._path = os.path.join(folder, 'task-records.json')
        self._rings = {}
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._unsaved = False
        self._warned = False

    @property
    def unsaved(self):
        """Whether there are records that are not on disk."""
        return self._unsaved

    def load(self):
        """Read what an earlier daemon has saved."""
        try:
            values = files.read_json(self._path)
            if values is None and not os.path.exists(self._path):
                return      # the first start
            rings = {name: [Record.from_dict(run) for run in runs]
                     for name, runs in values.items()}
        except Exception as error:      # whatever somebody put there
            LOG.warning('The records of earlier task runs in %s cannot be '
                        'read and are dropped: %s', self._path, error)
            return
        with self._lock:
            for name, runs in rings.items():
                self._ring(name).extend(runs)

    def add(self, record):
        """Remember a run."""
        with self._lock:
            self._ring(record.task).append(record)
            self._unsaved = True

    def of(self, name):
        """The records of a task, oldest first."""
        with self._lock:
            return list(self._rings.get(name, ()))

    def last(self, name):
        """The record of the last run of a task, or None."""
        return next(reversed(self.of(name)), None)

    def save(self):
        """Write what is not on disk yet; warns once if that is impossible."""
        with self._saving:      # or an older state might overwrite a newer
            with self._lock:
                if not self._unsaved:
                    return
                self._unsaved = False
                values = {name: [dataclasses.asdict(run) for run in ring]
                          for name, ring in self._rings.items()}
            try:
                os.makedirs(os.path.dirname(self._path), exist_ok=True)
                files.write_json(self._path, values)
            except (OSError, TypeError, ValueError) as error:
                self._unsaved = True
                if not self._warned:
                    LOG.warning('Records of task runs cannot be kept in %s: '
                                '%s. A restart will lose them; the tasks '
                                'run on.', self._path, error)
                self._warned = True
            else:
                self._warned = False

    def _ring(self, name):
        return self._rings.setdefault(name, collections.deque(maxlen=KEPT))
