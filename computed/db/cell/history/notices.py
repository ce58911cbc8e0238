"""Tell what the action log notes, once it is committed.

A notice has a key, which is the same if a request is repeated: what was
announced before the reply was lost may be announced once more.
"""

import contextlib
import dataclasses
import functools
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.engine import prepared

Context = computed_context.RequestContext
Row: typing.TypeAlias = dict[str, typing.Any]

# What an act has come to, by its result in the action log.
PHASES = {None: 'start', 'done': 'end', 'failed': 'error',
          'released': 'released', 'taken over': 'taken_over'}
# The columns of the action log that are told.
COLUMNS = ('uuid', 'name', 'host', 'operation', 'asked_by', 'request_id',
           'claim_id', 'state_before', 'state_after', 'result', 'fault',
           'reason')
_EVENT = models.Event


@dataclasses.dataclass(frozen=True)
class Notice:
    """What has happened to an instance.

    :ivar key: the same each time that the same is told
    :ivar phase: one of :data:`PHASES`
    :ivar values: ``{column: value}``, of the action log
    """

    key: str
    phase: str
    values: abc.Mapping[str, typing.Any]


@dataclasses.dataclass(frozen=True)
class Fact:
    """Something that consumers are told, and that the action log lacks.

    :ivar event_type: of the notification
    :ivar key: the same each time that the same is told
    :ivar values: ``{field of the payload: value}``
    """

    event_type: str
    key: str
    values: abc.Mapping[str, typing.Any]


def _notice(values: abc.Mapping[str, typing.Any],
            key: str | None = None) -> Notice:
    """Make a notice of a row of the action log.

    :param key: None: the row is of a claim
    """
    phase = PHASES[values.get('result')]
    return Notice(key or ':'.join((values['claim_id'], str(values['uuid']),
                                   phase)), phase,
                  {name: values.get(name) for name in COLUMNS})


def announce(context: Context, values: abc.Mapping[str, typing.Any],
             key: str | None = None) -> None:
    """Tell of a row of the action log when the open write is committed.

    :param key: None: the row is of a claim
    """
    if cell.announce is not None:
        tell(context, _notice(values, key))


def tell(context: Context, what: Notice | Fact) -> None:
    """Tell something when the open write is committed."""
    if cell.announce is not None:
        context.db_scope.afterwards.append(
            functools.partial(cell.announce, what))


def announce_end(context: Context, claim_id: str,
                 uuid: str | None = None) -> None:
    """Tell of the end of a claim when the open write is committed.

    :param uuid: on which instance; None: on all that it is on
    """
    if cell.announce is not None:
        for row in _rows(context, claim_id):
            if row['result'] is not None and uuid in (None, row['uuid']):
                announce(context, row)


def announce_noted(context: Context, key: str, uuid: str,
                   operation: str) -> None:
    """Tell what a former call has noted when the open write is committed.

    Perhaps its commit got no answer, so that nothing was told.

    :param key: as that call had it
    """
    if cell.announce is not None:
        for row in _all(context, _NOTED, {'the_uuid': uuid,
                                          'the_operation': operation}):
            announce(context, row, key)


def announce_again(context: Context, claim_id: str) -> None:
    """Tell what a former call with this claim has done.

    Perhaps its commit got no answer, so that nothing was told.
    """
    if cell.announce is None:
        return
    # That call is answered, whether this succeeds or not.
    with contextlib.suppress(exception.ComputedError):
        for row in _committed(context, claim_id):
            cell.announce(_notice(row))


@cell.read
def _committed(context: Context, claim_id: str) -> list[Row]:
    return _rows(context, claim_id)


def _rows(context: Context, claim_id: str) -> list[Row]:
    """Return the rows of a claim in the action log."""
    return _all(context, _OF_CLAIM, {'the_claim_id': claim_id})


def _all(context: Context, query: sa.Select,
         values: prepared.Values) -> list[Row]:
    return [dict(row) for row in context.connection.execute(
        query, values).mappings()]


def _select(*columns: typing.Any) -> sa.Select:
    return sa.select(*(getattr(_EVENT, name) for name in COLUMNS)).where(
        *(column == prepared.value(column.key) for column in columns))


_OF_CLAIM = _select(_EVENT.claim_id)
_NOTED = _select(_EVENT.uuid, _EVENT.operation)
