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
from computed.logs import seldom

LOG = logging.getLogger(__name__)
SUFFIX = '.json'


@dataclasses.dataclass(frozen=True)
class Row:
    """One row that a claim holds.

    :ivar kind: ``instance``; ``guest`` stands for one without an instance
    :ivar values: the columns to write when the claim is settled; None while
        the operation may still run
    :ivar revision: the row's revision since the grant; None if not known
    :ivar acted: whether ``values`` is the result of an act; False: they only
        give the row back
    :ivar because: why nothing was done, for the action log; None: not said
    """

    kind: str
    key: str
    host: str
    values: dict[str, typing.Any] | None = None
    revision: int | None = None
    acted: bool = False
    because: str | None = None


@dataclasses.dataclass(frozen=True)
class Entry:
    """One claim, with all its rows.

    :ivar about: what the operation is about beside its rows, such as the uuid
        of a volume; None: nothing
    """

    claim_id: str
    operation: str
    rows: tuple[Row, ...]
    about: str | None = None

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

    def __init__(self, folder: str | os.PathLike[str],
                 reserve: files.Reserve | None = None) -> None:
        """Make ``folder`` if it is absent.

        :param reserve: room to end guests on a full disk; None: there is none
        :raises OSError: it cannot be made
        """
        self.folder = folder
        self._reserve = reserve
        self._lines = seldom.Seldom(LOG)
        files.make_private(folder)

    def _path(self, claim_id: str) -> str:
        return files.by_uuid(self.folder, claim_id, SUFFIX)

    def write(self, entry: Entry) -> None:
        """Write ``entry``; it replaces an earlier entry of the same claim.

        :raises OSError: for example, the disk is full; then do not act
        :raises ValueError: the id of the claim is not a uuid
        """
        files.write_json(self._path(entry.claim_id),
                         dataclasses.asdict(entry), reserve=self._reserve)

    def forget(self, claim_id: str) -> None:
        """Drop a claim: the primary has acknowledged its end.

        :param claim_id: perhaps of a damaged row; without a uuid it has no
            entry
        """
        if files.is_uuid(claim_id):
            files.remove(self._path(claim_id), reserve=self._reserve)

    def entries(self) -> list[Entry]:
        """Return every entry; leave out a file that is damaged."""
        return [found for _, found in self._all() if found is not None]

    def damaged(self) -> set[str]:
        """Return the claims whose entries are damaged.

        Nobody knows what was to be done, or was done, under such a claim. So
        it is neither finished nor released.
        """
        return {claim_id for claim_id, found in self._all() if found is None}

    def _all(self) -> abc.Iterator[tuple[str, Entry | None]]:
        """Yield each claim and its entry; None: it is damaged."""
        for name in sorted(os.listdir(self.folder)):
            claim_id = name.removesuffix(SUFFIX)
            if claim_id == name or not files.is_uuid(claim_id):
                continue    # none of ours has such a name
            try:
                found = self._read(claim_id)
            except (files.Damaged, OSError) as error:
                self._report(name, error)
                yield claim_id, None
            else:
                if found is not None:       # acknowledged meanwhile
                    yield claim_id, found

    def _read(self, claim_id: str) -> Entry | None:
        path = self._path(claim_id)
        values = files.read_json(path)
        if values is None:
            return None
        with files.understood(path):
            rows = tuple(Row(**row) for row in values.pop('rows'))
            entry = Entry(rows=rows, **values)
            if entry.claim_id != claim_id or not all(
                    isinstance(row.values, dict | None) for row in rows):
                raise ValueError(entry)
            return entry

    def _report(self, name: str,
                error: files.Damaged | OSError) -> None:
        self._lines.error(
            'A journal entry: %s. Its claim is neither finished nor released, '
            'so its instance stays busy. Restore the file, or move it away: '
            'then the claim is released, and the next pass compares the guest '
            'with its record.', files.explained(error), kind=name)
