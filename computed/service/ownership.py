"""Check that the guests on this machine belong to this service."""

import typing

from oslo_log import log as logging

from computed import exception
from computed.virt import driver

if typing.TYPE_CHECKING:
    from computed.virt import claim as virt_claim

LOG = logging.getLogger(__name__)


def check(snapshot: driver.Snapshot, owner: 'virt_claim.Owner') -> None:
    """Refuse a host name or a database that all guests here contradict.

    Guests of other owners beside our own are logged and stay as they are.

    :param owner: what this service writes on its guests
    :raises computed.exception.ConfigError: the guests belong to another host
    :raises computed.exception.WrongDatabase: they belong to another database
    :raises computed.exception.DriverNotReady: not all guests are known yet
    """
    if not snapshot.complete:
        raise exception.DriverNotReady(reason='its list is incomplete')
    guests = snapshot.instances.values()
    foreign = [guest for guest in guests if guest.owner != owner]
    for guest in foreign:
        LOG.warning('Guest %(uuid)s belongs to %(owner)s, not to this '
                    'service. It is left alone.',
                    {'uuid': guest.uuid, 'owner': guest.owner})
    if any(guest.owner == owner for guest in guests):
        return
    for other in {guest.owner for guest in foreign if guest.owner}:
        if other.database_id == owner.database_id:
            raise exception.ConfigError(
                option='[DEFAULT] host', value=owner.host,
                problem=f'the guests here belong to host {other.host}',
                remedy='Give it its former name, or another '
                       '--state-path.')
        raise exception.WrongDatabase(
            expected=other.database_id, found=owner.database_id)
