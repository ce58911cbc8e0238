"""Hosts, their services and their compute nodes."""

import dataclasses
import typing

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base
from computed.objects import digest as digest_
from computed.objects import freeze as freeze_obj


@base.registry.register
class Service(base.ComputedObject):
    """The daemon of a host.

    ``digest`` is JSON about its periodic tasks. ``silent_for`` is the time
    since its last heartbeat, in seconds by the clock of the cell; see
    :mod:`computed.db.cell.cell_clock`. ``last_seen`` is for people only.
    """

    VERSION = '1.0'

    fields = {
        'host': fields.StringField(),
        'service_id': fields.UUIDField(),
        'boot_id': fields.UUIDField(),
        'host_boot_id': fields.StringField(),
        'version': fields.StringField(),
        'last_seen': fields.DateTimeField(),
        'silent_for': fields.FloatField(),
        'digest': fields.StringField(),
        'damaged': fields.ListOfStringsField(),
    }

    @base.remotable_read
    def get_by_host(cls, context: computed_context.RequestContext,
                    host: str) -> 'Service | None':
        """Return the service of a host, or None if it never had one.

        :raises computed.exception.HostNotFound: there is no such host
        """
        found = db.host.get(context, host)
        return service_of(context, found)

    @classmethod
    @base.remotable
    def register(cls, context: computed_context.RequestContext,
                 host: str, service_id: arguments.Uuid,
                 boot_id: arguments.Uuid, host_boot_id: arguments.Uuid,
                 version: str, place: str = '', began: float = 0.0,
                 seen: dict[str, int] | None = None,
                 database_id: str | None = None
                 ) -> dict[str, typing.Any]:
        """Give a host to this run of a service.

        See :class:`computed.db.cell.succession.Life`.

        :param seen: what the host has seen of the database, ``{incarnation:
            seconds of the clock of the cell}``
        :param database_id: the database that the guests of the host belong
            to; None: it is not known yet
        :returns: ``{'database_id', 'incarnation', 'seconds'}``; the last two
            are what the conductor has seen of the database
        :raises computed.exception.HostNotSilent: the host has another
            service, which may be alive
        :raises computed.exception.WrongDatabase: this is another database
        """
        db.host.register(context, host, db.succession.Life(
            service_id, boot_id, host_boot_id, place, began), version, seen,
            database_id)
        return {'database_id': db.database.cell.database_id, **shown()}

    @classmethod
    @base.remotable
    def report(cls, context: computed_context.RequestContext,
               host: str, service_id: arguments.Uuid, boot_id: arguments.Uuid,
               digest: str, seen: dict[str, int] | None = None
               ) -> dict[str, typing.Any]:
        """Record a heartbeat.

        :param seen: as for :meth:`register`
        :returns: ``{'ours', 'incarnation', 'seconds'}``. ``ours`` is False
            if another run has the host.
        :raises computed.exception.InvalidValue: the digest is not one
        """
        digest_.ensure(digest)
        ours = db.host.report(
            context, host, service_id, boot_id, digest, seen)
        return {'ours': ours, **shown()}


@base.registry.register
class ComputeNode(base.ComputedObject):
    """What a host has, how much of it is promised, and how much is used.

    The fields of version 1.1 are None until the host has written them.
    """

    # 1.1: record() guards by generation; delete_former()
    VERSION = '1.1'

    fields = {
        'host': fields.StringField(),
        'hypervisor_type': fields.StringField(),
        'hypervisor_version': fields.StringField(),
        'vcpus': fields.IntegerField(),
        'memory_mb': fields.IntegerField(),
        'disk_gb': fields.IntegerField(),
        'updated_at': fields.DateTimeField(),
        'revision': fields.IntegerField(),
        'service_id': fields.UUIDField(nullable=True),
        'generation': fields.IntegerField(),
        'vcpus_reserved': fields.IntegerField(nullable=True),
        'memory_mb_reserved': fields.IntegerField(nullable=True),
        'disk_gb_reserved': fields.IntegerField(nullable=True),
        'vcpus_allocation_ratio': fields.FloatField(nullable=True),
        'memory_mb_allocation_ratio': fields.FloatField(nullable=True),
        'disk_gb_allocation_ratio': fields.FloatField(nullable=True),
        'vcpus_used': fields.IntegerField(nullable=True),
        'memory_mb_used': fields.IntegerField(nullable=True),
        'disk_gb_used': fields.IntegerField(nullable=True),
        'vcpus_claimed': fields.IntegerField(nullable=True),
        'memory_mb_claimed': fields.IntegerField(nullable=True),
        'disk_gb_claimed': fields.IntegerField(nullable=True),
        'memory_mb_available': fields.IntegerField(nullable=True),
        'disk_gb_free': fields.IntegerField(nullable=True),
        'damaged': fields.ListOfStringsField(),
    }
    SINCE = dict.fromkeys([
        'service_id', 'generation', 'vcpus_reserved', 'memory_mb_reserved',
        'disk_gb_reserved', 'vcpus_allocation_ratio',
        'memory_mb_allocation_ratio', 'disk_gb_allocation_ratio',
        'vcpus_used', 'memory_mb_used', 'disk_gb_used', 'vcpus_claimed',
        'memory_mb_claimed', 'disk_gb_claimed', 'memory_mb_available',
        'disk_gb_free', 'damaged'], '1.1')

    @base.remotable_read
    def get_by_host(cls, context: computed_context.RequestContext,
                    host: str) -> typing.Self | None:
        """Return the compute node of a host, or None if it has none yet.

        :raises computed.exception.HostNotFound: there is no such host
        """
        found = db.host.get(context, host).compute_node
        return None if found is None else cls.from_row(context, found)

    @classmethod
    @base.remotable
    def record(cls, context: computed_context.RequestContext,
               host: str, values: dict[str, typing.Any],
               generation: int | None = None) -> bool:
        """See :func:`computed.db.cell.resources.record`."""
        return db.resources.record(context, host, values, generation)

    @classmethod
    @base.remotable
    def delete_former(cls, context: computed_context.RequestContext,
                      host: str, former: str, service_id: arguments.Uuid
                      ) -> bool:
        """See :func:`computed.db.cell.resources.delete_former`."""
        return db.resources.delete_former(context, host, former, service_id)


@base.registry.register
class ComputeNodeList(base.Page, base.ComputedObject):
    """A page of compute nodes."""

    # 1.1: get_all takes limit and marker
    VERSION = '1.1'

    fields = {'objects': fields.ListOfObjectsField('ComputeNode')}

    @base.remotable_read
    def get_all(cls, context: computed_context.RequestContext,
                limit: int | None = None,
                marker: str | None = None) -> typing.Self:
        """Return compute nodes, by host; see :class:`base.Page`."""
        return cls.of(
            context, db.host.get_compute_nodes_page(context, limit, marker),
            ComputeNode.from_row)


@base.registry.register
class Host(base.ComputedObject):
    """A host with all its parts, for ``computed-manage host``."""

    VERSION = '1.0'

    fields = {
        'name': fields.StringField(),
        'revision': fields.IntegerField(),
        'created_at': fields.DateTimeField(),
        'instances': fields.IntegerField(),
        'service': fields.ObjectField('Service', nullable=True),
        'compute_node': fields.ObjectField('ComputeNode', nullable=True),
        'freeze': fields.ObjectField('Freeze', nullable=True),
        'damaged': fields.ListOfStringsField(),
    }

    @base.remotable_read
    def get_by_name(cls, context: computed_context.RequestContext,
                    name: str) -> 'Host':
        """Return one host.

        :raises computed.exception.HostNotFound: there is no such host
        """
        return host_of(context, db.host.get(context, name))

    @classmethod
    @base.remotable
    def delete(cls, context: computed_context.RequestContext, name: str,
               force: bool, by: str) -> dict[str, int | bool]:
        """See :func:`computed.db.cell.retired.delete_host`.

        :returns: the fields of :class:`computed.db.cell.retired.Retired`
        """
        return dataclasses.asdict(db.retired.delete_host(
            context, name, force, by))


@base.registry.register
class HostList(base.Page, base.ComputedObject):
    """A page of hosts."""

    # 1.1: get_all takes limit and marker
    VERSION = '1.1'

    fields = {'objects': fields.ListOfObjectsField('Host')}

    @base.remotable_read
    def get_all(cls, context: computed_context.RequestContext,
                limit: int | None = None,
                marker: str | None = None) -> typing.Self:
        """Return hosts, by name; see :class:`base.Page`."""
        return cls.of(context, db.host.get_page(context, limit, marker),
                      host_of)


def shown() -> dict[str, typing.Any]:
    """Return what this conductor has seen of its database."""
    incarnation, seconds = (
        db.database.cell.router.incarnation.witness.latest)
    return {'incarnation': incarnation, 'seconds': seconds}


def service_of(context: computed_context.RequestContext,
               found: 'db.host.HostRow') -> Service | None:
    """Return the service of a host, or None."""
    if found.service is None:
        return None
    return Service.from_row(
        context, found.service, silent_for=found.silent_for)


def node_of(context: computed_context.RequestContext,
            found: 'db.host.HostRow') -> ComputeNode | None:
    """Return the compute node of a host, or None."""
    if found.compute_node is None:
        return None
    node = ComputeNode.from_row(context, found.compute_node)
    # Newer than what the last run of update_available_resource wrote.
    for name, amount in (found.promised or {}).items():
        setattr(node, name, amount)
    node.obj_reset_changes()
    return node


def host_of(context: computed_context.RequestContext,
            found: 'db.host.HostRow') -> Host:
    """Return a host with its parts."""
    return Host.from_row(
        context, found.host, instances=found.instances,
        service=service_of(context, found),
        compute_node=node_of(context, found),
        freeze=found.freeze and freeze_obj.Freeze.of(context, found.freeze))
