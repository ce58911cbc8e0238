"""Refuse writes of a run of a service that another run has replaced.

A registration locks and raises the row of the host, as each claim does. So
after another run is registered nothing more is granted to the former run, not
even a claim that began before.
"""

import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import freeze
from computed.db.cell import models


def _names(hosts: abc.Iterable[str | None]) -> list[str]:
    return sorted({host or models.NO_HOST for host in hosts})


def _is(owner: str) -> tuple[sa.ColumnElement[bool], ...]:
    service_id, _, boot_id = owner.partition(':')
    row = models.Service
    return row.service_id == service_id, row.boot_id == boot_id


def stands(owner: str, hosts: abc.Iterable[str | None]
           ) -> sa.ColumnElement[bool]:
    """Return a condition: this run is registered for one of these hosts.

    :param owner: ``service_id:boot_id``
    """
    return sa.exists().where(
        models.Service.host.in_(_names(hosts)), *_is(owner))


def is_gone(service_id: str, hosts: abc.Iterable[str | None]
            ) -> sa.ColumnElement[bool]:
    """Return a condition: no run of a service has any of these hosts."""
    row = models.Service
    return ~sa.exists().where(row.host.in_(_names(hosts)),
                              row.service_id == service_id)


def stands_for(owner: str, host: typing.Any) -> sa.ColumnElement[bool]:
    """Return a condition: this run is registered for the host in a column.
    """
    return sa.exists().where(models.Service.host == host, *_is(owner))


def refuse(context: computed_context.RequestContext,
           hosts: abc.Iterable[str | None], owner: str,
           operation: str) -> None:
    """Refuse a claim of a former run or on frozen hosts, by one statement.

    Call it in the transaction that grants the claim.

    :param hosts: hosts that the transaction has locked; None: no host
    :param owner: ``service_id:boot_id`` of the run that asks
    :raises computed.exception.Replaced: another run is registered
    :raises computed.exception.Frozen: one of them is frozen, or all hosts are
    """
    names = _names(hosts)
    row, known = models.Freeze, models.Service
    found = context.session.execute(
        sa.select(known.host, row)
        .outerjoin(row, row.host.in_([models.ALL_HOSTS, *names]))
        .where(known.host.in_(names), *_is(owner))
        .order_by(row.host)).first()
    if found is None:
        raise exception.Replaced(operation=operation)
    if found.Freeze is not None:
        raise exception.Frozen(operation=operation,
                               **freeze.described(found.Freeze))


def ensure_stands(context: computed_context.RequestContext,
                  hosts: abc.Iterable[str | None], owner: str,
                  operation: str) -> None:
    """Say why nothing was written, if this is the reason.

    :raises computed.exception.Replaced: another run is registered
    """
    if not context.session.scalar(sa.select(stands(owner, hosts))):
        raise exception.Replaced(operation=operation)
