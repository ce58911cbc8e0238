"""How much of a host is promised, and how much it can promise."""

import dataclasses
import typing
from collections import abc

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed import exception
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base
from computed.objects import host as host_obj

# The classes of resources: prefixes of the fields of a compute node.
CLASSES = ('vcpus', 'memory_mb', 'disk_gb')
# The unit of each class, for errors.
UNITS = {'vcpus': 'CPUs', 'memory_mb': 'MiB of memory',
         'disk_gb': 'GiB of disk'}


@base.registry.register
class ResourceUsage(base.ComputedObject):
    """What the instances of a host take, beside the recorded node.

    With ``after='host'`` the sums are exact, and all else is as old as the
    origin says: no change of a compute node raises a revision, except one of
    its identity.

    ``*_used`` are sums over all instances of the host, also stopped ones.
    ``*_claimed`` is the part of the instances that are being built.
    ``node_age`` is in seconds. ``now`` is the time by the database's clock,
    in UTC without fractions. ``guests_left`` says whether this host has
    guests of instances that were deleted without it. ``former`` is a former
    name of this host, if it still has a compute node.
    """

    VERSION = '1.0'

    fields = {
        'host': fields.StringField(),
        'vcpus_used': fields.IntegerField(),
        'memory_mb_used': fields.IntegerField(),
        'disk_gb_used': fields.IntegerField(),
        'vcpus_claimed': fields.IntegerField(),
        'memory_mb_claimed': fields.IntegerField(),
        'disk_gb_claimed': fields.IntegerField(),
        'compute_node': fields.ObjectField('ComputeNode', nullable=True),
        'node_age': fields.FloatField(nullable=True),
        'now': fields.DateTimeField(),
        'guests_left': fields.BooleanField(),
        'former': fields.StringField(nullable=True),
    }

    @base.remotable_read
    def get_by_host(cls, context: computed_context.RequestContext,
                    host: str, service_id: arguments.Uuid) -> typing.Self:
        """See :func:`computed.db.cell.resources.get_usage`."""
        found = db.resources.get_usage(context, host, service_id)
        node = found.compute_node
        return cls(
            context, host=host, node_age=found.node_age, now=found.now,
            former=found.former, guests_left=found.guests_left,
            compute_node=node and host_obj.ComputeNode.from_row(
                context, node), **found.figures)


@dataclasses.dataclass(frozen=True)
class Inventory:
    """One class of resources of a host.

    :ivar total: the amount that the host has
    :ivar reserved: the part that is not for instances
    :ivar allocation_ratio: how many times the rest may be promised
    :ivar used: the amount that is promised
    :ivar claimed: the part of it for instances that are being built
    """

    total: int
    reserved: int
    allocation_ratio: float
    used: int
    claimed: int

    @property
    def capacity(self) -> int:
        """Return the amount that may be promised; 0 if all is reserved."""
        return max(0, int((self.total - self.reserved) *
                          self.allocation_ratio))

    @property
    def free(self) -> int:
        """Return the amount left; below 0 if too much is promised."""
        return self.capacity - self.used


def inventory(node: host_obj.ComputeNode, name: str,
              promised: abc.Mapping[str, int] | None = None,
              ) -> Inventory | None:
    """Return the inventory of one class of resources.

    It is None if the host has nothing of the class, or if its service is so
    old that it does not write what is promised.

    :param name: one of ``CLASSES``
    :param promised: ``{field: amount}`` as of now; None: as recorded
    """
    total, reserved, ratio = (getattr(node, field) for field in (
        name, f'{name}_reserved', f'{name}_allocation_ratio'))
    rest = [reserved, ratio, *(
        getattr(node, field) if promised is None else promised[field]
        for field in (f'{name}_used', f'{name}_claimed'))]
    if total is None or total < 1 or None in rest:
        return None
    return Inventory(total, *rest)


def ensure_room(wanted: abc.Mapping[str, typing.Any],
                node: host_obj.ComputeNode,
                promised: abc.Mapping[str, int]) -> None:
    """Refuse a new instance that needs more than its host has left. Pure.

    :param wanted: the values of the instance
    :param promised: as for :func:`inventory`; with this instance
    :raises computed.exception.NoRoom: the host had less left. A class without
        an inventory has no limit.
    """
    lacking = []
    for name in CLASSES:
        amount, found = wanted.get(name) or 0, inventory(node, name, promised)
        if amount and found is not None and found.free < 0:
            lacking.append(f'{amount} {UNITS[name]} asked, '
                           f'{max(found.free + amount, 0)} free')
    if lacking:
        raise exception.NoRoom(host=node.host, lacking=', '.join(lacking))
