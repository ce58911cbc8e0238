"""Keep what this host has seen of the database, in one small file."""

import os

from oslo_log import log as logging

from computed import files
from computed.db import witness

LOG = logging.getLogger(__name__)


class Kept(witness.Witness):
    """What outlives the service.

    It needs no fsync: after a power cut it may be some seconds old. A file
    that is lost or damaged counts as nothing seen.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """:param path: a file below the state path

        :raises OSError: it cannot be read, or belongs to another user
        """
        self._path = os.fspath(path)
        self._failed = False
        super().__init__(files.read_json(self._path))

    def note(self, incarnation: str | None, seconds: int) -> None:
        """Note what the database shows, and keep it."""
        before = self.seen()
        super().note(incarnation, seconds)
        if self.seen() == before:
            return
        try:
            files.write_json(self._path, self.seen(), durable=False)
        except OSError as error:
            if not self._failed:
                LOG.warning('What was seen of the database could not be '
                            'written: %s', error)
            self._failed = True
        else:
            self._failed = False
