"""Keep on disk what this host has begun and not yet told the primary.

There is a file for each claim, from before it is asked for until its
settlement is acknowledged. After a crash in between, the next run of the
service finds it.
"""

import dataclasses
import os
import typing
from collections import abc

from oslo_log import log as logging

from computed import files

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row that a claim holds.

    :ivar kind: ``instance``; ``guest`` stands for one without an instance
    :ivar values: what to write when the claim is settled; None while the act
        may still be under way
    :ivar revision: the row's since the grant; None if it is not known
    """

    kind: str
    key: str
    host: str
    values: dict[str, typing.Any] | None = None
    revision: int | None = None


@dataclasses.dataclass(frozen=True)
class Entry:
    """One claim, with all its rows."""

    claim_id: str
    operation: str
    rows: tuple[Row, ...]

    @property
    def ended(self) -> bool:
        """Whether it is known what to settle the claim with."""
        return all(row.values is not None for row in self.rows)

    @property
    def uuid(self) -> str:
        """The keys of the rows, for logs."""
        return ', '.join(row.key for row in self.rows)

    def with_values(
            self, values: abc.Mapping[str, dict[str, typing.Any]]) -> 'Entry':
        """Return the same claim at its end.

        :param values: ``{key: what to write}``
        """
        return dataclasses.replace(self, rows=tuple(
            dataclasses.replace(row, values=values[row.key])
            for row in self.rows))


class Journal:
    """The entries in one folder."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Make ``folder`` if it is absent.

        :raises OSError: it cannot be made
        """
        self.folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)

    def _path(self, claim_id: str) -> str:
        return os.path.join(self.folder, f'{claim_id}.json')

    def write(self, entry: Entry) -> None:
        """Remember ``entry`` in place of what was known of the claim.

        :raises OSError: the disk is full, for instance; then do not act
        """
        files.write_json(self._path(entry.claim_id),
                         dataclasses.asdict(entry))

    def forget(self, claim_id: str) -> None:
        """Drop a claim: the primary has acknowledged its end."""
        files.remove(self._path(claim_id))

    def entries(self) -> list[Entry]:
        """Return every entry; a file that cannot be read is left alone."""
        found = []
        for name in sorted(os.listdir(self.folder)):
            if not name.endswith('.json'):
                continue
            path = os.path.join(self.folder, name)
            try:
                values = files.read_json(path)
                rows = tuple(Row(**row) for row in values.pop('rows'))
                found.append(Entry(rows=rows, **values))
            except (OSError, TypeError, AttributeError, KeyError):
                if not os.path.exists(path):
                    continue    # acknowledged meanwhile
                LOG.warning('The journal entry %s cannot be read; the claim '
                            'is found by the database instead.', name)
        return found
