"""Claim a guest that has no instance.

Such a claim rests on the absence of a row, and an absent row has no facts to
compare. So the claim rests on the revision of the host, which counts every
change of the host's instances.
"""

import threading
import typing
from collections import abc

from computed import exception
from computed.claims import claims
from computed.claims import journal
from computed.claims import kinds
from computed.claims import recovery
from computed.objects import grant as grant_obj
from computed.objects import instance as instance_obj
from computed.virt import claim as virt_claim


class Listing:
    """A strict list of a host's instances: a uuid that it lacks has no row.

    :ivar uuids: the uuids of the instances
    :ivar revision: the revision of the host
    :ivar lock: held while a claim is requested
    """

    def __init__(self, uuids: abc.Iterable[str], revision: int) -> None:
        """:param revision: the revision of the host, read with the list"""
        self.uuids = frozenset(uuids)
        self.revision = revision
        self.lock = threading.Lock()


def listing(asker: claims.Claims, context: claims.Context) -> Listing:
    """Read the host's instances on the primary, for :func:`claim`."""
    recovery.release_guests(asker, context)
    found = instance_obj.InstanceList.get_whole_by_host(
        context, asker.owner.host, use_slave=False)
    return Listing((instance.uuid for instance in found),
                   typing.cast(typing.Any, found.origin).revision)


def claim(asker: claims.Claims, context: claims.Context, listed: Listing,
          uuid: str, operation: str) -> virt_claim.Claim:
    """Ask for a claim on a guest that has no instance.

    It is refused, and the guest must be kept, if any instance of this host
    has changed since the list was read, or if the guest has an instance on
    another host. While it is held, no instance of that uuid can be created.

    :raises computed.exception.InstanceRegressed: this service knows its
        instance, which the database has forgotten
    :raises: as :meth:`computed.claims.claims.Claims.claim_all`
    """
    claims.refuse_stale(context, operation, uuid)
    if uuid in listed.uuids:
        raise exception.ClaimLost(uuid=uuid, operation=operation)
    asker.settled.refuse_known(uuid)
    entry = asker.begin(operation, [
        journal.Row(kinds.GUEST, uuid, asker.owner.host)])
    # Requests come one after the other: each grant makes the next revision.
    with listed.lock:
        granted = asker.ask(
            entry, entry.with_values({uuid: {}}),
            lambda: grant_obj.Grant.grant_guest_claim(
                context.tolerating_lag(False), asker.owner.database_id,
                entry.claim_id, asker.claim_owner, operation, uuid,
                asker.owner.host, listed.revision))
        listed.revision = granted.revision
    return asker.granted(context, entry, (), guest=uuid)
