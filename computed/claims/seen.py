"""Keep what this host has seen of the database, in one small file."""

import os

from oslo_log import log as logging

from computed import files
from computed.db import witness
from computed.logs import outage

LOG = logging.getLogger(__name__)


class Kept(witness.Witness):
    """What outlives the service.

    It needs no fsync: after a power cut it may be some seconds old, or torn.
    A file that is lost counts as nothing seen. So does a damaged one, which is
    kept by another name and told.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """:param path: a file below the state path

        :raises OSError: it cannot be read, or belongs to another user
        """
        self._path = os.fspath(path)
        self._unwritten = outage.Outage(
            'What was seen of the database cannot be written',
            'What was seen of the database could not be written for '
            '{seconds}',
            'What was seen of the database is written again after '
            '{seconds}.')
        try:
            found = files.read_json(self._path)
            with files.understood(self._path):
                found = found if found is None else {**found}
        except files.Damaged as error:
            found = None
            LOG.warning('%(error)s. It is kept as %(aside)s. If the database '
                        'went back in time meanwhile, only what is recorded '
                        'of each instance shows it.',
                        {'error': error,
                         'aside': files.set_aside(self._path)})
        super().__init__(found)

    def note(self, incarnation: str | None, seconds: int) -> None:
        """Note what the database shows, and keep it."""
        before = self.seen()
        super().note(incarnation, seconds)
        if self.seen() == before:
            return
        try:
            files.write_json(self._path, self.seen(), durable=False)
        except OSError as error:
            self._unwritten.lasts(str(error))
        else:
            self._unwritten.ends()
