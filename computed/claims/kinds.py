"""The kinds of rows that a claim can be on: how they are asked for and ended.
"""

import dataclasses
import datetime
import typing
from collections import abc

from computed.claims import journal
from computed.objects import arguments

# An object such as Instance; its fields become attributes at run time.
Row: typing.TypeAlias = typing.Any

INSTANCE, GUEST = 'instance', 'guest'
# What the release of a row writes, by kind; nothing for another kind.
RELEASED: dict[str, dict[str, object]] = {INSTANCE: {'task_state': None}}


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One row to claim.

    :ivar kind: which table the row is in: ``instance``, or another kind
        that the conductor can grant
    :ivar key: identifies the row; for an instance, its uuid
    :ivar expected: every fact that the decision rests on: ``{name: value or
        list of values}``
    :ivar values: columns to set with the grant (``task_state``)
    :ivar host: the host of the row; None: this host
    :ivar reason: why it is claimed, for the action log; None: it is asked for
    """

    kind: str
    key: str
    expected: abc.Mapping[str, object]
    values: abc.Mapping[str, object] = dataclasses.field(
        default_factory=dict)
    host: str | None = None
    reason: str | None = None

    def request(self, host: str, remembered: arguments.Remembered | None,
                ) -> arguments.WantedRow:
        """Return the row as the conductor gets it.

        :param host: this host
        :param remembered: what this host knows of the row, or None
        """
        return {'kind': self.kind, 'key': self.key,
                'host': self.host or host, 'values': dict(self.values),
                'remembered': remembered, 'reason': self.reason,
                'expected': {name: _plain(fact) for name, fact
                             in self.expected.items()}}


def of(row: Row) -> str:
    """Return the kind of a row that was granted."""
    return row.obj_name().lower()


def ended(row: Row, values: abc.Mapping[str, dict[str, object]],
          because: str | None = None) -> journal.Row:
    """Return a row of a claim with what its end writes.

    :param because: why nothing was done; None: not said
    """
    kind = of(row)
    return journal.Row(
        kind, row.uuid, row.host,
        values.get(row.uuid, RELEASED.get(kind, {})), row.revision,
        acted=row.uuid in values, because=because)


def _plain(fact: object) -> object:
    """Return the wire form of a fact: a time becomes text, in UTC."""
    if not isinstance(fact, datetime.datetime):
        return fact
    if fact.tzinfo is not None:
        fact = fact.astimezone(datetime.UTC)
    return fact.replace(tzinfo=None).isoformat()
