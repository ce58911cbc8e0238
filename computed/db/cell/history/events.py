"""Write the action log: one row for each act on an instance or a host.

The row of an act is inserted in the transaction that grants its claim, and
completed in the transaction that ends the claim. So the log and the record of
an instance never disagree: after a failover or a restore both lack the same.
No row is written for what was refused.

The rows of an instance outlive it.
"""

import functools
import typing
from collections import abc

import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed import context as computed_context
from computed import exception
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell.history import notices
from computed.db.engine import dialects
from computed.db.engine import prepared
from computed.logs import printable

# Results of acts. A row without a result is of an act that goes on.
DONE, FAILED = 'done', 'failed'
# Nothing was done, or nobody knows what.
RELEASED = 'released'
# Another claim of the same service, or of its successor, goes on.
TAKEN_OVER = 'taken over'
# Characters of a value that does not fit; the shortest column has as many.
SHORT = 16
# Characters of a reason that is kept when more is said.
LONGEST = 10_000
# Who asks if the context does not say it.
SERVICE = 'service'

_EVENT = models.Event
_NOW = dialects.utcnow()


class Subject(typing.NamedTuple):
    """What a claim is on: a guest without an instance."""

    uuid: str
    host: str
    name: None = None
    vm_state: None = None


def begin(context: computed_context.RequestContext, claim_id: str,
          operation: str, rows: abc.Iterable[typing.Any],
          reasons: abc.Mapping[str, str | None]) -> None:
    """Note that a claim was granted, in its transaction.

    :param rows: the rows of instances, as they are now
    :param reasons: ``{uuid: why the caller asks}``
    :raises computed.exception.ClaimLost: it was granted before. So a request
        that is carried out once more after the end of its claim is refused
    :raises computed.exception.InvalidValue: a text does not fit
    """
    found = [{**_asked(context), 'operation': operation,
              'claim_id': claim_id, 'reason': reasons.get(row.uuid),
              **_fitting(uuid=row.uuid, name=row.name, host=row.host,
                         state_before=row.vm_state)} for row in rows]
    for values in found:
        bounds.ensure_fit(_EVENT, {name: values[name] for name
                                   in ('operation', 'claim_id', 'reason')})
    if found:
        try:
            context.connection.execute(_beginning(), found)
        except db_exc.DBDuplicateEntry as error:
            raise exception.ClaimLost(
                uuid=', '.join(str(values['uuid']) for values in found),
                operation=operation) from error
    for values in found:
        notices.announce(context, values)


def _fitting(**values: typing.Any) -> dict[str, typing.Any]:
    """Return values of rows, which may be damaged, so that they fit here.

    The log is no reason to refuse what repairs or deletes such a row.
    """
    columns: typing.Any = _EVENT.__table__.columns
    return {name: value if bounds.problem_of(columns[name], value) is None
            else printable.short(value)[:SHORT]
            for name, value in values.items()}


@functools.cache
def _beginning() -> sa.Insert:
    return sa.insert(_EVENT).values(began_at=_NOW)


def end(context: computed_context.RequestContext, claim_id: str,
        row: typing.Any, result: str, because: str | None = None) -> None:
    """Note that a claim has ended, in the transaction that ends it.

    :param row: the row of an instance, as it is now
    :param because: why nothing was done; it follows the reason of the act
    """
    uuid = _fitting(uuid=row.uuid)['uuid']
    more = {} if because is None else {
        'the_because': printable.short(because)}
    context.connection.execute(_ending(bool(more)), {
        'the_claim_id': claim_id, 'result': result, 'the_uuid': uuid, **more,
        **_fitting(state_after=row.vm_state,
                   fault=row.fault if result == FAILED else None)})
    notices.announce_end(context, claim_id, uuid)


@functools.cache
def _ending(has_because: bool) -> sa.Update:
    found = _of_claim().where(_EVENT.uuid == prepared.value('uuid'))
    if not has_because:
        return found
    # The column may be full.
    return found.values(reason=sa.func.substr(
        sa.func.coalesce(_EVENT.reason + '; ', ''), 1, LONGEST
    ) + prepared.value('because', sa.Text))


def end_all(context: computed_context.RequestContext, claim_id: str,
            result: str) -> None:
    """Note that a claim has ended although its holder did not end it."""
    context.connection.execute(
        _of_claim(), {'the_claim_id': claim_id, 'result': result})
    notices.announce_end(context, claim_id)


@functools.cache
def _of_claim() -> sa.Update:
    return sa.update(_EVENT).where(
        _EVENT.claim_id == prepared.value('claim_id'),
        _EVENT.ended_at.is_(None)).values(ended_at=_NOW)


def note(context: computed_context.RequestContext, operation: str,
         key: str | None = None, **values: str | None) -> None:
    """Note something that was done at once, in its transaction.

    :param key: of the notification that tells it; None: it is not told
    :param values: further columns
    """
    row = {**_asked(context), 'operation': operation, 'result': DONE,
           **_fitting(**values)}
    context.connection.execute(_noting(), row)
    if key is not None:
        notices.announce(context, row, key)


@functools.cache
def _noting() -> sa.Insert:
    return sa.insert(_EVENT).values(began_at=_NOW, ended_at=_NOW)


def _asked(context: computed_context.RequestContext
           ) -> dict[str, str | None]:
    """Return who asks; peers choose both texts."""
    request_id = context.request_id
    return {'asked_by': printable.short(context.asked_by or SERVICE),
            'request_id': printable.short(request_id)
            if isinstance(request_id, str) else None}
