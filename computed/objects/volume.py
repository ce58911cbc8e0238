"""Volumes and their attachments to instances."""

import typing

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base


@base.registry.register
class Volume(base.ComputedObject):
    """A file or a block device of a host, and the instance that has it.

    ``attachment_id``, ``instance_uuid``, ``status`` and ``attached_at`` are
    None if it is not attached. ``status`` is ``attaching``, ``attached`` or
    ``detaching``.
    """

    VERSION = '1.0'

    fields = {
        'uuid': fields.UUIDField(),
        'name': fields.StringField(),
        'host': fields.StringField(),
        'path': fields.StringField(),
        'created_at': fields.DateTimeField(nullable=True),
        'attachment_id': fields.StringField(nullable=True),
        'instance_uuid': fields.StringField(nullable=True),
        'status': fields.StringField(nullable=True),
        'attached_at': fields.DateTimeField(nullable=True),
        'damaged': fields.ListOfStringsField(),
    }

    @base.remotable_read
    def get_by_uuid(cls, context: computed_context.RequestContext,
                    uuid: str) -> typing.Self:
        """See :func:`computed.db.cell.storage.volumes.get`."""
        return cls.from_row(context, db.storage.volumes.get(context, uuid))

    @classmethod
    @base.remotable
    def create(cls, context: computed_context.RequestContext,
               uuid: arguments.Uuid, name: str, host: str, path: str
               ) -> typing.Self:
        """See :func:`computed.db.cell.storage.volumes.create`."""
        return cls.from_row(context, db.storage.volumes.create(context, {
            'uuid': uuid, 'name': name, 'host': host, 'path': path}))

    @classmethod
    @base.remotable
    def delete(cls, context: computed_context.RequestContext,
               uuid: arguments.Uuid, host: str) -> None:
        """See :func:`computed.db.cell.storage.volumes.delete`."""
        db.storage.volumes.delete(context, uuid, host)

    @classmethod
    @base.remotable
    def begin_attachment(cls, context: computed_context.RequestContext,
                         uuid: arguments.Uuid, instance_uuid: arguments.Uuid,
                         host: str, claim_id: arguments.Uuid,
                         attachment_id: arguments.Uuid) -> typing.Self:
        """See :func:`computed.db.cell.storage.attachments.begin`."""
        return cls.from_row(context, db.storage.attachments.begin(
            context, instance_uuid, host, claim_id, uuid, attachment_id))

    @classmethod
    @base.remotable
    def set_status(cls, context: computed_context.RequestContext,
                   uuid: arguments.Uuid, instance_uuid: arguments.Uuid,
                   host: str, claim_id: arguments.Uuid,
                   status: str | None) -> None:
        """See :func:`computed.db.cell.storage.attachments.set_status`."""
        db.storage.attachments.set_status(
            context, instance_uuid, host, claim_id, uuid, status)


@base.registry.register
class VolumeList(base.Page, base.ComputedObject):
    """A page of volumes, by name and uuid."""

    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('Volume')}
    SINCE = {}

    @base.remotable_read
    def get_all(cls, context: computed_context.RequestContext,
                name: str | None = None, host: str | None = None,
                limit: int | None = None, marker: str | None = None,
                ) -> 'VolumeList':
        """See :func:`computed.db.cell.storage.volumes.get_page`."""
        return cls.of(context, db.storage.volumes.get_page(
            context, limit, marker, name=name, host=host), Volume.from_row)

    @base.remotable_read
    def get_by_instance(cls, context: computed_context.RequestContext,
                        uuid: str) -> 'VolumeList':
        """See :func:`computed.db.cell.storage.volumes.get_by_instance`."""
        self = cls(context, next_marker=None, objects=[
            Volume.from_row(context, row)
            for row in db.storage.volumes.get_by_instance(context, uuid)])
        self.obj_reset_changes()
        return self
