"""What is promised of a host; and the arithmetic of what it can promise."""

import dataclasses

from oslo_versionedobjects import fields

from computed.db import cell as db
from computed.objects import base
from computed.objects import host as host_obj

# The classes of resources, as the fields of a compute node begin.
CLASSES = ('vcpus', 'memory_mb', 'disk_gb')


@base.registry.register
class ResourceUsage(base.ComputedObject):
    """What the instances of a host take up, beside what is recorded.

    ``*_used`` are sums over all instances assigned to the host, running or
    not; ``*_claimed`` is the part of those still being built. ``node_age``
    is in seconds; ``former`` a former name of this host, under which it
    still has a compute node.
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
        'former': fields.StringField(nullable=True),
    }

    @base.remotable_read
    def get_by_host(cls, context, host, service_id):
        """See :func:`computed.db.cell.resources.get_usage`.

        :raises computed.exception.HostNotFound: no such host
        """
        found = db.resources.get_usage(context, host, service_id)
        node = found.compute_node
        return cls(
            context, host=host, node_age=found.node_age, former=found.former,
            compute_node=node and host_obj.ComputeNode.from_row(
                context, node),
            **{f'{name}_used': found.used[name] for name in CLASSES},
            **{f'{name}_claimed': found.claimed[name] for name in CLASSES})


@dataclasses.dataclass(frozen=True)
class Inventory:
    """One class of resources of a host.

    :ivar total: what there is
    :ivar reserved: what of it is not for instances
    :ivar allocation_ratio: how often the rest may be promised
    :ivar used: what is promised
    :ivar claimed: what of that is for instances being built
    """

    total: int
    reserved: int
    allocation_ratio: float
    used: int
    claimed: int

    @property
    def capacity(self):
        """How much may be promised; nothing if all is reserved."""
        return max(0, int((self.total - self.reserved) *
                          self.allocation_ratio))

    @property
    def free(self):
        """What is left; below zero if more is promised than may be."""
        return self.capacity - self.used


def inventory(node, name):
    """The inventory of class ``name`` in a ComputeNode.

    None if the host has nothing of it, or has not said what it promised: its
    service is older than that.
    """
    total, *rest = [getattr(node, field) for field in (
        name, f'{name}_reserved', f'{name}_allocation_ratio',
        f'{name}_used', f'{name}_claimed')]
    if total < 1 or None in rest:
        return None
    return Inventory(total, *rest)
