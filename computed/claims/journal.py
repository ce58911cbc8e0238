"""Keep on disk the claims whose end the primary has not acknowledged.

Each claim has a file. It is written before the claim is requested, and removed
after the primary has acknowledged the settlement. After a crash in between,
the next run of the service finds it.
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
    :ivar values: the columns to write when the claim is settled; None while
        the operation may still run
    :ivar revision: the row's revision since the grant; None if not known
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
        """Return whether the journal has the result of each row."""
        return all(row.values is not None for row in self.rows)

    @property
    def uuid(self) -> str:
        """Return the keys of the rows, for logs."""
        return ', '.join(row.key for row in self.rows)

    def with_values(
            self, values: abc.Mapping[str, dict[str, typing.Any]]) -> 'Entry':
        """Return the same claim with the results of its rows.

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
        """Write ``entry``; it replaces an earlier entry of the same claim.

        :raises OSError: for example, the disk is full; then do not act
        """
        files.write_json(self._path(entry.claim_id),
                         dataclasses.asdict(entry))

    def forget(self, claim_id: str) -> None:
        """Drop a claim: the primary has acknowledged its end."""
        files.remove(self._path(claim_id))

    def entries(self) -> list[Entry]:
        """Return every entry; skip a file that cannot be read."""
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
