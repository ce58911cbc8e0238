"""Freezes: no claim is granted on one host, or on all.

A claim locks the rows of its hosts before it looks for a freeze. A freeze
locks them before it is written. So no claim is granted after a freeze is
written, not even a claim that began before it.
"""

import datetime

import sqlalchemy as sa

from computed import context as computed_context
from computed import exception
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.cell.database import cell
from computed.db.cell.history import events
from computed.db.engine import dialects
from computed.db.engine import prepared

# What stands for a value that is damaged.
DAMAGED = 'damaged'


def described(row: models.Freeze) -> dict[str, str]:
    """Return the values of a freeze that the error ``Frozen`` shows.

    A damaged row is a freeze, too.
    """
    since = ''
    if isinstance(row.frozen_at, datetime.datetime):
        since = f'{row.frozen_at:%Y-%m-%dT%H:%M:%SZ}'
    values = {'since': since or None, 'by': row.frozen_by,
              'reason': row.reason}
    return {'scope': 'Every host' if row.host == models.ALL_HOSTS
            else f'Host {row.host}',
            **{name: value if isinstance(value, str) else DAMAGED
               for name, value in values.items()}}


@cell.write
def impose(context: computed_context.RequestContext, host: str | None,
           reason: str, by: str, freeze_id: str) -> models.Freeze:
    """Refuse all new claims on a host; a repeat changes reason and id.

    :param host: None: on all hosts
    :param by: the operator
    :param freeze_id: a uuid that the caller has drawn
    :returns: the row; its time is the time of the first call
    :raises computed.exception.HostNotFound: there is no such host
    :raises computed.exception.InvalidValue: a text does not fit
    """
    values = {'reason': reason, 'frozen_by': by, 'freeze_id': freeze_id}
    bounds.ensure_fit(models.Freeze, values)
    connection, row = context.connection, models.Host
    affected = sa.true() if host is None else sa.and_(
        row.name == host, row.name != models.NO_HOST)
    # Claims lock them in the same order.
    names = connection.scalars(sa.select(row.name).where(affected)
                               .order_by(row.name).with_for_update()).all()
    if host is not None and not names:
        raise exception.HostNotFound(host=host)
    # On Galera a lock holds on one node only; a write conflicts with the
    # claims of all nodes.
    connection.execute(sa.update(row).where(affected)
                       .values(revision=row.revision + 1))
    events.note(context, 'freeze', host=host, reason=reason)
    name = _name(host)
    if prepared.get(context, models.Freeze, name) is None:
        connection.execute(sa.insert(models.Freeze).values(
            host=name, frozen_at=dialects.utcnow(), **values))
    else:
        connection.execute(sa.update(models.Freeze).where(
            models.Freeze.host == name).values(**values))
    return prepared.get(context, models.Freeze, name)


@cell.read
def get(context: computed_context.RequestContext, host: str | None
        ) -> models.Freeze | None:
    """Return a freeze; None: there is none.

    :param host: None: the freeze of all hosts, not those of single hosts
    :raises computed.exception.HostNotFound: there is no such host
    """
    if host is not None and prepared.get(context, models.Host, host) is None:
        raise exception.HostNotFound(host=host)
    return prepared.get(context, models.Freeze, _name(host))


@cell.write
def lift(context: computed_context.RequestContext, host: str | None,
         freeze_id: str) -> bool:
    """End the freeze that the operator has seen.

    A thaw that comes late must not end a freeze that was imposed after it.

    :param host: None: the freeze of all hosts, not those of single hosts
    :returns: False if there is none
    :raises computed.exception.FreezeChanged: there is another one
    """
    row = models.Freeze
    if context.connection.execute(
            sa.delete(row).where(row.host == _name(host),
                                 row.freeze_id == freeze_id)).rowcount:
        events.note(context, 'thaw', host=host)
        return True
    found = prepared.get(context, row, _name(host))
    if found is None:
        return False
    raise exception.FreezeChanged(**described(found))


def _name(host: str | None) -> str:
    return models.ALL_HOSTS if host is None else host
