"""The rows that a claim, or its end, may name, and what it may say of them.

The types are checked at the entrance of the conductor, by the annotations of
the method. Here the values are compared with the columns that they are for.
"""

import contextlib
import dataclasses
import datetime
import typing
from collections import abc

import sqlalchemy as sa

from computed import exception
from computed import states
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell import transitions
from computed.db.engine import dialects
from computed.db.engine import prepared
from computed.logs import printable

# The wire form of a row of a claim.
Row = abc.Mapping[str, typing.Any]
_NOW = dialects.utcnow()
# The fact that a row has its state for so many seconds.
LASTS = 'seconds_in_state'


@dataclasses.dataclass(frozen=True)
class Kind:
    """A table whose rows can be claimed.

    It has the columns ``host``, ``revision``, ``updated_at``,
    ``settled_claim_id`` and the three columns of a claim.

    :ivar key: the column that identifies a row
    :ivar facts: columns that a claim may rest on, and ``seconds_in_state``
    :ivar defaults: facts that must hold unless the claim expects others
    """

    model: typing.Any
    key: str
    facts: frozenset[str]
    defaults: dict[str, typing.Any]

    @property
    def column(self) -> typing.Any:
        """Return the key column, for conditions."""
        return getattr(self.model, self.key)


KINDS = {
    'instance': Kind(
        models.Instance, 'uuid', frozenset([
            'vm_state', 'task_state', 'power_state', 'revision', 'deleted',
            'created_at', 'task_state_since', 'build_started_at',
            'launched_at', 'updated_at', 'deleted_at', 'terminated_at',
            'guest_left', 'cleaned', 'clean_attempts', 'clean_failed',
            LASTS]),
        {'deleted': False}),
}


def ensure(rows: abc.Iterable[Row]) -> None:
    """Refuse rows whose values do not fit.

    :raises computed.exception.InvalidValue: one does not fit
    """
    for row in rows:
        kind = KINDS.get(row['kind'])
        if kind is None:
            raise exception.InvalidValue(
                field='the kind of a row', value=printable.quoted(
                    row['kind']), problem='there are no claims on such rows')
        for name, value in ((kind.key, row['key']), ('host', row['host'])):
            bounds.ensure_comparable(kind.model, name, value)
        bounds.ensure_may_write(kind.model, resolved(row['values']),
                                (kind.key,))


def resolved(values: Row) -> dict[str, typing.Any]:
    """Return values to write; the word for now becomes the database's time.
    """
    return {name: _NOW if value == states.NOW else value
            for name, value in values.items()}


def holds(kind: Kind, name: str, value: typing.Any) -> prepared.Part:
    """Return a condition: a fact is ``value``, or one of a list of values.

    ``seconds_in_state`` is a fact if they are ``value`` or more.

    :raises computed.exception.InvalidValue: no claim can rest on it
    """
    if name not in kind.facts:
        raise exception.InvalidValue(
            field=f'the fact {printable.short(name)}',
            value=printable.quoted(value), problem='no claim rests on it')
    if name == LASTS:
        bounds.ensure_comparable(kind.model, 'state_counted_at', value)
        return transitions.lasts(value)
    column = getattr(kind.model, name)
    if isinstance(value, list | tuple):
        return prepared.one_of(
            column, [_comparable(kind, name, one) for one in value])
    return prepared.equals(column, _comparable(kind, name, value))


def _comparable(kind: Kind, name: str, value: typing.Any) -> typing.Any:
    """Return a value as it is compared with a column; a time is text."""
    column = getattr(kind.model, name)
    if isinstance(column.type, sa.DateTime) and isinstance(value, str):
        # The check below says what is wrong with another text.
        with contextlib.suppress(ValueError):
            value = datetime.datetime.fromisoformat(value)
    bounds.ensure_comparable(kind.model, name, value)
    return value
