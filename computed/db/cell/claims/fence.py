"""Refuse writes of a run of a service that another run has replaced.

A registration locks and raises the row of the host, as each claim does. So
after another run is registered nothing more is granted to the former run, not
even a claim that began before.

All writes of claims ask :func:`explain` why they are refused, so that each
reason has one text.
"""

import dataclasses
import functools
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import freeze
from computed.db.cell import models
from computed.db.cell.claims import remembered
from computed.db.engine import prepared


def _names(hosts: abc.Iterable[str | None]) -> list[str]:
    return sorted({host or models.NO_HOST for host in hosts})


def _values(owner: str) -> prepared.Values:
    service_id, _, boot_id = owner.partition(':')
    return {'the_owner_service': service_id, 'the_owner_boot': boot_id}


def _is_owner() -> tuple[sa.ColumnElement[bool], ...]:
    return (models.Service.service_id == prepared.value('owner_service'),
            models.Service.boot_id == prepared.value('owner_boot'))


def stands(owner: str, hosts: abc.Iterable[str | None]) -> prepared.Part:
    """Return a condition: this run is registered for one of these hosts.

    :param owner: ``service_id:boot_id``
    """
    return prepared.Part(
        _stands(), {'the_hosts': _names(hosts), **_values(owner)})


@functools.cache
def _stands() -> sa.ColumnElement[bool]:
    return sa.exists().where(
        models.Service.host.in_(prepared.several('hosts')), *_is_owner())


def is_gone(service_id: str, hosts: abc.Iterable[str | None]
            ) -> prepared.Part:
    """Return a condition: no run of a service has any of these hosts."""
    return prepared.Part(_is_gone(), {
        'the_former_hosts': _names(hosts), 'the_former_service': service_id})


@functools.cache
def _is_gone() -> sa.ColumnElement[bool]:
    row = models.Service
    return ~sa.exists().where(
        row.host.in_(prepared.several('former_hosts')),
        row.service_id == prepared.value('former_service'))


def stands_for(owner: str, host: typing.Any) -> prepared.Part:
    """Return a condition: this run is registered for the host in a column.
    """
    return prepared.Part(
        sa.exists().where(models.Service.host == host, *_is_owner()),
        _values(owner))


@dataclasses.dataclass(frozen=True)
class Unmet:
    """A row that did not meet the conditions of a claim.

    :ivar model: the table of the row
    :ivar row: as for :func:`computed.db.cell.claims.claim.grant`
    :ivar others: the conditions other than
        :func:`computed.db.cell.claims.remembered.conditions`
    """

    model: typing.Any
    row: abc.Mapping[str, typing.Any]
    others: abc.Sequence[prepared.Part]


def explain(context: computed_context.RequestContext,
            hosts: abc.Iterable[str | None], owner: str, operation: str,
            freezes: bool = True, unmet: Unmet | None = None,
            ) -> remembered.History:
    """Raise the reason why a write is refused, if there is one.

    A grant asks before it writes, and any write may ask after it has changed
    nothing. Call it in the same transaction.

    :param hosts: hosts that the transaction has locked; None: no host
    :param owner: ``service_id:boot_id`` of the run that asks
    :param freezes: False: a freeze does not matter, because something ends
    :param unmet: the row that the write has not changed, if one is known
    :returns: what else it has read, for :func:`remembered.conditions`
    :raises computed.exception.Replaced: another run is registered
    :raises computed.exception.Frozen: one of them is frozen, or all hosts are
    :raises computed.exception.InstanceRegressed: the row lacks what its host
        remembers, and only that
    """
    known_as = _names(hosts)
    found = context.connection.execute(_explaining(), {
        'the_hosts': known_as, 'the_frozen': [models.ALL_HOSTS, *known_as],
        **_values(owner)}).first()
    if found is None:
        raise exception.Replaced(operation=operation)
    if freezes and found.host is not None:
        raise exception.Frozen(operation=operation,
                               **freeze.described(found))
    if unmet is not None and unmet.row.get('remembered'):
        _ensure_remembered(context, unmet)
    return remembered.History(found.incarnation, found.seconds)


@functools.cache
def _explaining() -> sa.Select:
    row, known = models.Freeze, models.Service
    return (sa.select(row, *remembered.columns()).select_from(known)
            .outerjoin(row, row.host.in_(prepared.several('frozen')))
            .where(known.host.in_(prepared.several('hosts')), *_is_owner())
            .order_by(row.host))


def _ensure_remembered(context: computed_context.RequestContext,
                       unmet: Unmet) -> None:
    same = [prepared.equals(unmet.model.uuid, unmet.row['key']),
            *unmet.others]
    found = context.connection.execute(
        sa.select(unmet.model).where(*prepared.texts(same)),
        prepared.values(same)).one_or_none()
    if found is not None:
        raise exception.InstanceRegressed(
            instance=found.name, uuid=found.uuid, vm_state=found.vm_state,
            settled=unmet.row['remembered']['vm_state'] or 'an operation')
