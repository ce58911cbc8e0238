"""Freezes: no claim is granted, on one host or on all.

A claim locks its hosts' rows before it looks for a freeze, and a freeze locks
them before it is written: once it has been written, no claim that did not see
it can still be granted.
"""

import sqlalchemy as sa

from computed import exception
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.engine import dialects


def refuse_if_frozen(context, hosts, operation):
    """One statement, in the transaction that grants a claim.

    :param hosts: whose rows the transaction has locked; None: of no host
    :raises computed.exception.Frozen: one of them is, or all are
    """
    row = models.Freeze
    names = sorted({host or models.NO_HOST for host in hosts})
    found = context.session.scalars(
        sa.select(row).where(row.host.in_([models.ALL_HOSTS, *names]))
        .order_by(row.host)).first()
    if found is not None:
        raise exception.Frozen(operation=operation, **described(found))


def described(row):
    """What a Frozen says of the freeze."""
    return {'scope': 'Every host' if row.host == models.ALL_HOSTS
            else f'Host {row.host}',
            'since': f'{row.frozen_at:%Y-%m-%dT%H:%M:%SZ}',
            'by': row.frozen_by, 'reason': row.reason}


@cell.write
def impose(context, host, reason, by):
    """Let no claim be granted from now on; again: with another reason.

    :param host: None: on no host
    :param by: who wants it
    :returns: the row; it is frozen since the first time
    :raises computed.exception.HostNotFound: no such host
    """
    session, row = context.session, models.Host
    affected = sa.true() if host is None else row.name == host
    # In the order in which claims lock them.
    names = session.scalars(sa.select(row.name).where(affected)
                            .order_by(row.name).with_for_update()).all()
    if host is not None and not names:
        raise exception.HostNotFound(host=host)
    # Where a lock is of one node only, a write is what claims collide with.
    session.execute(sa.update(row).where(affected)
                    .values(revision=row.revision + 1)
                    .execution_options(synchronize_session=False))
    name = models.ALL_HOSTS if host is None else host
    found = session.get(models.Freeze, name)
    if found is None:
        found = models.Freeze(host=name, frozen_at=dialects.utcnow())
        session.add(found)
    found.reason, found.frozen_by = reason, by
    session.flush()
    session.refresh(found)
    return found


@cell.write
def lift(context, host):
    """End a freeze.

    :param host: None: the one of all hosts, not those of single ones
    :returns: whether there was one
    :raises computed.exception.HostNotFound: no such host
    """
    if host is not None and context.session.get(models.Host, host) is None:
        raise exception.HostNotFound(host=host)
    row = models.Freeze
    return bool(context.session.execute(
        sa.delete(row)
        .where(row.host == (models.ALL_HOSTS if host is None else host))
        .execution_options(synchronize_session=False)).rowcount)
