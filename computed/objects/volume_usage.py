"""What instances have read and written of volumes."""

import typing
from collections import abc

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base


@base.registry.register
class VolumeUsage(base.ComputedObject):
    """What an instance has read and written of a volume, over all times.

    ``rd_req`` and ``wr_req`` are requests, the others bytes. ``last_*`` are
    the counters as they were read last, and ``last_refreshed`` is the time of
    that reading, in microseconds since 1970. All are None if nothing was
    recorded yet.
    """

    VERSION = '1.0'

    fields = {
        'volume_id': fields.StringField(),
        'instance_uuid': fields.StringField(),
        'rd_req': fields.IntegerField(nullable=True),
        'rd_bytes': fields.IntegerField(nullable=True),
        'wr_req': fields.IntegerField(nullable=True),
        'wr_bytes': fields.IntegerField(nullable=True),
        'last_rd_req': fields.IntegerField(nullable=True),
        'last_rd_bytes': fields.IntegerField(nullable=True),
        'last_wr_req': fields.IntegerField(nullable=True),
        'last_wr_bytes': fields.IntegerField(nullable=True),
        'last_epoch': fields.StringField(nullable=True),
        'last_refreshed': fields.IntegerField(nullable=True),
        'damaged': fields.ListOfStringsField(),
    }

    @classmethod
    def blank(cls, volume_id: str, uuid: str) -> typing.Self:
        """Return what is recorded of a volume of which nothing is."""
        return cls(**{**dict.fromkeys(cls.fields), base.DAMAGED: [],
                      'volume_id': volume_id, 'instance_uuid': uuid})


@base.registry.register
class VolumeUsageList(base.ObjectListBase, base.ComputedObject):
    """Rows of usage."""

    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('VolumeUsage')}

    @classmethod
    def _from_rows(cls, context: computed_context.RequestContext,
                   rows: abc.Iterable[typing.Any]) -> typing.Self:
        self = cls(context, objects=[VolumeUsage.from_row(context, row)
                                     for row in rows])
        self.obj_reset_changes()
        return self

    @base.remotable_read
    def get_by_host(cls, context: computed_context.RequestContext,
                    host: str) -> typing.Self:
        """See :func:`computed.db.cell.storage.usage.get_by_host`."""
        return cls._from_rows(
            context, db.storage.usage.get_by_host(context, host))

    @base.remotable_read
    def get_by_instance(cls, context: computed_context.RequestContext,
                        uuid: str) -> typing.Self:
        """See :func:`computed.db.cell.storage.usage.get_by_instance`."""
        return cls._from_rows(
            context, db.storage.usage.get_by_instance(context, uuid))

    @base.remotable_read
    def get_recorded(cls, context: computed_context.RequestContext,
                     uuid: str, limit: int) -> typing.Self:
        """See :func:`computed.db.cell.storage.usage.get_recorded`."""
        return cls._from_rows(
            context, db.storage.usage.get_recorded(context, uuid, limit))

    @classmethod
    @base.remotable
    def record(cls, context: computed_context.RequestContext,
               rows: arguments.BlockRows) -> None:
        """See :func:`computed.db.cell.storage.usage.record`."""
        db.storage.usage.record(context, rows)
