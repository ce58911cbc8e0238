"""Retire hosts that do not come back, and delete instances without them.

The primary decides it, in the transaction that deletes: so no host is heard
of, and nothing is created there, at that moment.

A host may come back all the same, and the guest of an instance that was
deleted without it is still there. So the row of the instance has
``guest_left``, until the host has destroyed the guest under a claim. Its end
also ends ``guest_left``.
"""

import dataclasses
import typing

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed import states
from computed.db.cell import console_tokens
from computed.db.cell import host as host_db
from computed.db.cell import models
from computed.db.cell import revision
from computed.db.cell import transitions
from computed.db.cell.claims import claimed
from computed.db.cell.claims import held
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.engine import dialects
from computed.db.engine import pages
from computed.db.engine import prepared
from computed.logs import printable

LOG = logging.getLogger(__name__)

# The maximum number of rows of a page of guests that a host has left.
AT_ONCE = 100


@dataclasses.dataclass(frozen=True)
class Retired:
    """What the deletion of a host has ended and left.

    :ivar instances: how many instances are left without a host
    :ivar claims: how many rows were claimed
    :ivar frozen: whether the host was frozen
    """

    instances: int
    claims: int
    frozen: bool


def delete_host(context: computed_context.RequestContext, host: str,
                force: bool, by: str) -> Retired:
    """Delete a host with its service, compute node, claims and freeze.

    :param force: also if it has instances; they stay as they are
    :param by: who asks for it, for the log
    :raises computed.exception.HostNotFound: there is no such host
    :raises computed.exception.HostHeard: its service may be alive
    :raises computed.exception.HostHasInstances: it has instances
    """
    found = _delete_host(context, host, force)
    LOG.warning('%(by)s has deleted host %(host)s: %(instances)s instances '
                'are left, %(claims)s claims have ended.',
                {'by': printable.short(by), 'host': printable.short(host),
                 'instances': found.instances, 'claims': found.claims})
    return found


@cell.write
def _delete_host(context: computed_context.RequestContext, host: str,
                 force: bool) -> Retired:
    new = revision.retire(context, host)
    _ensure_silent(context, host)
    row, connection = models.Instance, context.connection
    instances = connection.execute(
        sa.select(sa.func.count()).select_from(row).where(
            row.host == host, row.deleted == sa.false())).scalar_one()
    if instances and not force:
        raise exception.HostHasInstances(host=host, count=instances)
    claims = held.of_host(context, host)
    for one in claims:
        held.free(context, one, new)
    deleted = {model: connection.execute(
        sa.delete(model).where(column == host)).rowcount
        for model, column in (
            (models.Service, models.Service.host),
            (models.ComputeNode, models.ComputeNode.host),
            (models.Freeze, models.Freeze.host),
            (models.ConsoleToken, models.ConsoleToken.host),
            (models.Host, models.Host.name))}
    events.note(context, 'delete host', host=host)
    return Retired(instances, len(claims), bool(deleted[models.Freeze]))


def _ensure_silent(context: computed_context.RequestContext,
                   host: str) -> None:
    age = host_db.heard(context, host)
    if age is not None:
        raise exception.HostHeard(host=host, age=age,
                                  wait=cell.silent_after())


@cell.write
def delete_instance(context: computed_context.RequestContext, uuid: str,
                    host: str | None, force: bool) -> models.Instance:
    """Delete an instance without its host; a repeat is harmless.

    A claim on it ends, because its holder does not come back.

    :param host: its host, as the caller has read it; None: it has none
    :param force: also if its host is silent; False: only if it is deleted
    :returns: the row; ``guest_left`` says whether its host, should it come
        back, destroys a guest
    :raises computed.exception.InstanceNotFound: there is no such instance
    :raises computed.exception.InstanceChanged: it has another host now
    :raises computed.exception.HostHeard: its host may be alive
    :raises computed.exception.HostMayReturn: its host is silent, and
        ``force`` is not given
    """
    new, known = _bumped(context, uuid, host)
    row = models.Instance
    found = prepared.get(context, row, uuid)
    if found is None:
        raise exception.InstanceNotFound(instance=uuid)
    if found.host != host:
        raise exception.InstanceChanged(uuid=uuid, revision=found.revision)
    if found.deleted:
        return found
    if host is not None and known:
        _ensure_silent(context, host)
        if not force:
            raise exception.HostMayReturn(instance=found.name, host=host)
    context.connection.execute(
        sa.update(row).where(row.uuid == uuid).values(
            revision=new, updated_at=dialects.utcnow(), deleted=True,
            deleted_at=dialects.utcnow(), power_state=states.NOSTATE,
            fault=None, guest_left=host is not None, cleaned=host is None,
            **transitions.dated({'vm_state': states.DELETED,
                                 'task_state': None}), **claimed.FREE))
    console_tokens.forget(context, uuid)
    if found.claim_id:
        events.end_all(context, found.claim_id, events.RELEASED)
    events.note(context, 'delete', key=f'{uuid}:delete', uuid=uuid,
                name=found.name, host=host,
                state_before=found.vm_state, state_after=states.DELETED,
                reason='without its host')
    return prepared.get(context, row, uuid)


def _bumped(context: computed_context.RequestContext, uuid: str,
            host: str | None) -> tuple[int, bool]:
    """Return a new revision for an instance, and whether its host exists."""
    floor = revision.of_rows([uuid])
    try:
        return revision.bump(context, host, floor), True
    except exception.HostNotFound as error:
        new = revision.bump(context, None, floor)
        # A host that registers waits for the row of no host.
        if prepared.get(context, models.Host, host) is not None:
            # It was faster. The repeated transaction sees it.
            raise db_exc.DBDeadlock(error) from error
        return new, False


def left_by(host: typing.Any) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions of instances whose guests a host has left."""
    row = models.Instance
    return row.host == host, row.guest_left == sa.true()


@cell.read
def get_left(context: computed_context.RequestContext, host: str,
             limit: int | None, marker: str | None) -> pages.Page:
    """Return a page of the instances whose guests a host has left, by uuid.

    See :func:`pages.read`. A page has at most ``AT_ONCE`` rows.
    """
    row = models.Instance
    return pages.read(
        context.connection,
        sa.select(row).where(*left_by(host)),
        (row.uuid,), limit, marker, AT_ONCE)
