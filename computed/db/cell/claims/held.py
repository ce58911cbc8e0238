"""Queries on all claims that are held, for operators.

A claim ends when its holder ends it. If the holder does not come back, an
operator ends it, once it is sure that the holder is silent.
"""

import dataclasses
import datetime
import typing
from collections import abc

import sqlalchemy as sa
from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed.db.cell import cell_clock
from computed.db.cell import host as host_db
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell import transitions
from computed.db.cell.claims import claimed
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.engine import dialects
from computed.db.engine import pages
from computed.logs import printable

LOG = logging.getLogger(__name__)

# Returns a condition on the rows of a table.
Condition: typing.TypeAlias = abc.Callable[
    [typing.Any], sa.ColumnElement[bool]]
# The kind of a guest that has no instance.
GUEST = 'guest'


@dataclasses.dataclass(frozen=True)
class Held:
    """One row that is claimed; its columns may be damaged.

    :ivar kind: a key of :data:`claimed.KINDS`, or ``guest``
    :ivar owner: ``service_id:boot_id`` of the holder
    :ivar registered: whether a run of the holder's service has the host of
        the row; if not, the holder can write nothing any more. If the owner
        is damaged, the service that has the host may be the holder.
    :ivar silent_for: if so, the seconds since that service was heard, by the
        clock of the cell
    """

    claim_id: str
    kind: str
    key: str
    host: str | None
    owner: str | None
    claimed_at: datetime.datetime | None
    registered: bool
    silent_for: float | None


def _rows(model: typing.Any, key: typing.Any, kind: str,
          *conditions: sa.ColumnElement[bool]) -> sa.Select:
    service = models.Service
    return (sa.select(model.claim_id, sa.literal(kind).label('kind'),
                      key.label('key'), model.host, model.claim_owner,
                      model.claimed_at, service.service_id,
                      (cell_clock.seconds() - service.heard_at)
                      .label('silent_for'))
            .outerjoin(service, service.host == model.host)
            # Each text, but not NULL. For IS NOT NULL, SQLite uses no index.
            .where(model.claim_id >= '', *conditions))


def _all(condition: Condition = lambda model: sa.true()) -> typing.Any:
    """Return a query on the claimed rows of every kind."""
    guest = models.GuestClaim
    parts = [_rows(kind.model, kind.column, name, condition(kind.model))
             for name, kind in claimed.KINDS.items()]
    parts.append(_rows(guest, guest.uuid, GUEST, condition(guest)))
    return sa.union_all(*parts).order_by('claimed_at', 'claim_id', 'key')


def _held(found: typing.Any) -> Held:
    service_id, whole, _ = str(found.claim_owner).partition(':')
    registered = found.service_id is not None and (
        not whole or service_id == found.service_id)
    return Held(
        found.claim_id, found.kind, found.key, found.host, found.claim_owner,
        found.claimed_at, registered,
        float(max(found.silent_for, 0)) if registered else None)


@cell.read
def get_all(context: computed_context.RequestContext,
            limit: int) -> list[Held]:
    """Return the rows that are claimed, those of the oldest claims first.

    :param limit: the most rows to return, within ``[conductor] max_page``
    :raises computed.exception.InvalidLimit: it is below 1
    """
    return [_held(found) for found in context.connection.execute(
        _all().limit(pages.length(limit, cell.max_page())))]


def release(context: computed_context.RequestContext, claim_id: str,
            by: str) -> list[Held]:
    """End a claim whose holder is silent; return the rows that are free now.

    The rows stay as they are, but for ``task_state``. A holder that comes
    back cannot end the claim any more, so it writes nothing.

    :param by: who asks for it, for the log
    :raises computed.exception.ClaimNotFound: nobody holds this claim; it has
        ended
    :raises computed.exception.ClaimHolderAlive: its holder may be alive
    """
    rows = _release(context, claim_id, _hosts(context, claim_id))
    LOG.warning('%(by)s has released claim %(claim)s of %(owner)s on '
                '%(rows)s.', {
                    'by': printable.short(by), 'claim': claim_id,
                    'owner': rows[0].owner,
                    'rows': ', '.join(f'{row.kind} {row.key}'
                                      for row in rows)})
    return rows


def _of(claim_id: str) -> typing.Any:
    return _all(lambda model: model.claim_id == claim_id)


@cell.read
def _hosts(context: computed_context.RequestContext,
           claim_id: str) -> set[str | None]:
    """Return the hosts of the rows of a claim.

    It is a transaction of its own, because the one that writes must lock the
    hosts before it reads anything.
    """
    return {found.host for found in context.connection.execute(_of(claim_id))}


@cell.write
def _release(context: computed_context.RequestContext, claim_id: str,
             hosts: set[str | None]) -> list[Held]:
    # After this no holder can register, and none can end the claim.
    new = revision.bump_all(context, dict.fromkeys(hosts, revision.ZERO))
    rows = [_held(found)
            for found in context.connection.execute(_of(claim_id))]
    if not rows or {row.host for row in rows} != hosts:
        raise exception.ClaimNotFound(claim_id=claim_id)
    for row in rows:
        if row.registered and row.host is not None and (
                host_db.heard(context, row.host) is not None):
            raise exception.ClaimHolderAlive(
                claim_id=claim_id, host=row.host, age=row.silent_for,
                wait=cell.silent_after())
    for row in rows:
        free(context, row, new[row.host])
    return rows


def of_host(context: computed_context.RequestContext,
            host: str) -> list[Held]:
    """Return the rows of a host that are claimed.

    Call it in a transaction that has locked the row of the host.
    """
    return [_held(found) for found in context.connection.execute(
        _all(lambda model: model.host == host))]


def free(context: computed_context.RequestContext, row: Held,
         new: int) -> None:
    """End the claim on a row, in the open transaction.

    :param new: the revision that the row gets
    """
    if row.kind == GUEST:
        context.connection.execute(
            sa.delete(models.GuestClaim)
            .where(models.GuestClaim.uuid == row.key))
        return
    events.end_all(context, row.claim_id, events.RELEASED)
    kind = claimed.KINDS[row.kind]
    context.connection.execute(
        sa.update(kind.model).where(kind.column == row.key)
        .values(revision=new, updated_at=dialects.utcnow(),
                **transitions.dated({'task_state': None}), **claimed.FREE))
