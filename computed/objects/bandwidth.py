"""The bytes that the interfaces of instances have carried."""

from oslo_versionedobjects import fields

from computed.db import cell as db
from computed.objects import base


@base.registry.register
class BandwidthUsage(base.ComputedObject):
    """One interface in one period, in bytes; ``in`` is into the guest.

    ``last_ctr_*`` is where the counters stood when they were last read,
    ``last_refreshed`` when that was, in microseconds since 1970.
    """

    VERSION = '1.0'

    fields = {
        'uuid': fields.UUIDField(),
        'mac_address': fields.StringField(),
        'start_period': fields.DateTimeField(),
        'bw_in': fields.IntegerField(),
        'bw_out': fields.IntegerField(),
        'last_ctr_in': fields.IntegerField(),
        'last_ctr_out': fields.IntegerField(),
        'last_epoch': fields.StringField(),
        'last_refreshed': fields.IntegerField(),
    }


@base.registry.register
class BandwidthUsageList(base.ObjectListBase, base.ComputedObject):
    """Rows of usage; ``launched`` says of each instance asked about when it
    was launched, seconds since 1970, and lacks those that do not exist.
    """

    VERSION = '1.0'

    fields = {
        'objects': fields.ListOfObjectsField('BandwidthUsage'),
        'launched': fields.Field(
            fields.Dict(fields.Integer(), nullable=True)),
    }

    @classmethod
    def _from_rows(cls, context, rows, **more):
        self = cls(context, objects=[BandwidthUsage.from_row(context, row)
                                     for row in rows], **more)
        self.obj_reset_changes()
        return self

    @base.remotable_read
    def get_by_uuids(cls, context, uuids, periods):
        """See :func:`computed.db.cell.bandwidth.get_by_uuids`."""
        rows, launched = db.bandwidth.get_by_uuids(context, uuids, periods)
        return cls._from_rows(context, rows, launched=launched)

    @base.remotable_read
    def get_by_uuid(cls, context, uuid, limit):
        """The newest ``limit`` rows of one instance, newest period first."""
        return cls._from_rows(
            context, db.bandwidth.get_by_uuid(context, uuid, limit))

    @classmethod
    @base.remotable
    def record(cls, context, rows):
        """See :func:`computed.db.cell.bandwidth.record`."""
        db.bandwidth.record(context, rows)
