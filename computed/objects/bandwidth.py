"""The traffic of the interfaces of instances."""

import typing
from collections import abc

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base


@base.registry.register
class BandwidthUsage(base.ComputedObject):
    """The traffic of one interface in one period, in bytes.

    ``bw_in`` went into the guest. ``last_ctr_*`` are the counters as they
    were read last, and ``last_refreshed`` is the time of that reading, in
    microseconds since 1970.
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
        'damaged': fields.ListOfStringsField(),
    }


@base.registry.register
class BandwidthUsageList(base.ObjectListBase, base.ComputedObject):
    """Rows of traffic.

    ``launched`` has the last launch of each instance that exists, in seconds
    since 1970, or None.
    """

    VERSION = '1.0'

    fields = {
        'objects': fields.ListOfObjectsField('BandwidthUsage'),
        'launched': fields.Field(
            fields.Dict(fields.Integer(), nullable=True)),
    }

    @classmethod
    def _from_rows(cls, context: computed_context.RequestContext,
                   rows: abc.Iterable[typing.Any],
                   **more: typing.Any) -> typing.Self:
        self = cls(context, objects=[BandwidthUsage.from_row(context, row)
                                     for row in rows], **more)
        self.obj_reset_changes()
        return self

    @base.remotable_read
    def get_by_uuids(cls, context: computed_context.RequestContext,
                     uuids: arguments.Uuids, periods: arguments.Moments
                     ) -> typing.Self:
        """See :func:`computed.db.cell.bandwidth.get_by_uuids`."""
        rows, launched = db.bandwidth.get_by_uuids(context, uuids, periods)
        return cls._from_rows(context, rows, launched=launched)

    @base.remotable_read
    def get_by_uuid(cls, context: computed_context.RequestContext,
                    uuid: str, limit: int) -> typing.Self:
        """Return at most ``limit`` rows of an instance, newest period first.
        """
        return cls._from_rows(
            context, db.bandwidth.get_by_uuid(context, uuid, limit))

    @classmethod
    @base.remotable
    def record(cls, context: computed_context.RequestContext,
               rows: arguments.Traffic) -> None:
        """See :func:`computed.db.cell.bandwidth.record`."""
        db.bandwidth.record(context, rows)
