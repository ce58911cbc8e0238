"""Keep named values in a small file."""

import os
import threading
import typing

from computed import exception
from computed import files
from computed.logs import outage

REMEDY = ('It counts the repairs of the last hour, so this task does nothing '
          'until the file is restored or moved away.')


class State:
    """Named values of one task, as JSON."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """Read the values.

        :param path: a file. None: only this object keeps the values
        :raises computed.exception.FileDamaged: it is damaged, or cannot be
            read. An empty one would take the brakes off.
        """
        self._path = os.fspath(path) if path else None
        self._values: dict[str, typing.Any] = {}
        if self._path:
            try:
                found = files.read_json(self._path)
                with files.understood(self._path):
                    self._values = {} if found is None else {**found}
            except files.Damaged as error:
                raise self.damaged(error.reason) from error
            except OSError as error:
                raise self.damaged(
                    f'it cannot be read ({error.strerror})') from error
        self._lock = threading.Lock()
        self._unwritten = outage.Outage(
            f'{self._path} cannot be written',
            f'{self._path} could not be written for {{seconds}}',
            f'{self._path} is written again after {{seconds}}.')

    def damaged(self, reason: str) -> exception.FileDamaged:
        """Return the error that says that the file is damaged."""
        return exception.FileDamaged(
            path=self._path, reason=reason, remedy=REMEDY)

    def get(self, name: str) -> typing.Any:
        """Return a value; None if there is none."""
        return self._values.get(name)

    def put(self, name: str, value: typing.Any) -> None:
        """Change a value, durably.

        :raises OSError: it could not be written; the old value stays
        """
        with self._lock:
            if self._values.get(name) == value:
                return
            values = {**self._values, name: value}
            if self._path:
                files.make_private(os.path.dirname(self._path))
                files.write_json(self._path, values)
            self._values = values
            self._unwritten.ends()

    def note(self, name: str, value: typing.Any) -> None:
        """Change a value that may be lost with this process."""
        try:
            self.put(name, value)
        except OSError as error:
            self._unwritten.lasts(str(error))
            with self._lock:
                self._values = {**self._values, name: value}
