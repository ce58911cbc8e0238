"""What a host has promised to its instances.

It is always a sum over the rows of the instances, which their writers keep,
and never a measurement or a counter.
"""

import functools
import typing

import sqlalchemy as sa

from computed import context as computed_context
from computed import states
from computed.db.cell import models
from computed.db.engine import prepared

CLASSES = ('vcpus', 'memory_mb', 'disk_gb')


def assigned(host: typing.Any) -> sa.ColumnElement[bool]:
    """Return a condition: the instance takes resources of ``host``.

    A stopped instance takes them too. A shelved and offloaded instance does
    not, unless it is being spawned again.
    """
    row = models.Instance
    return sa.and_(
        row.host == host, row.deleted == sa.false(),
        sa.or_(row.vm_state != states.SHELVED_OFFLOADED,
               row.task_state == states.SPAWNING))


@functools.cache
def sums() -> sa.Subquery:
    """Return one row: ``of_host``, ``promised_*_used`` and ``_claimed``.

    ``promised_*_claimed`` is the part of the instances that are being built.
    """
    row, host = models.Instance, prepared.value('host', sa.String)
    building = sa.or_(row.vm_state == states.BUILDING,
                      row.task_state == states.SPAWNING)
    columns = []
    for name in CLASSES:
        amount = getattr(row, name)
        claimed = sa.case((building, amount), else_=0)
        columns += [
            sa.func.coalesce(sa.func.sum(amount), 0).label(
                f'promised_{name}_used'),
            sa.func.coalesce(sa.func.sum(claimed), 0).label(
                f'promised_{name}_claimed')]
    return sa.select(host.label('of_host'), *columns).where(
        assigned(host)).subquery()


def figures(found: typing.Any) -> dict[str, int]:
    """Return ``{column: amount}`` from a row that has those of :func:`sums`.

    On MariaDB the sum of integers is a decimal number.
    """
    return {f'{name}_{kind}': int(getattr(found, f'promised_{name}_{kind}'))
            for name in CLASSES for kind in ('used', 'claimed')}


def read(context: computed_context.RequestContext, host: str,
         ) -> tuple[models.ComputeNode, dict[str, int]] | None:
    """Return the compute node of a host, and its :func:`figures` as of now.

    Call it in the transaction that gives an instance to the host, after it
    has raised the revision of the host: the lock of that row lets one such
    transaction look at a time, so several cannot take the same room.

    :returns: None if the host has recorded nothing
    """
    found = context.connection.execute(
        _reading(), {'the_host': host}).one_or_none()
    return found and (found, figures(found))


@functools.cache
def _reading() -> sa.Select:
    promised, node = sums(), models.ComputeNode
    return sa.select(node, *promised.c).join(
        promised, promised.c.of_host == node.host)
