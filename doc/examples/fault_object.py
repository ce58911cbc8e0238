"""An object; it would be ``computed/objects/fault.py``."""

import fault_queries
from oslo_versionedobjects import fields

from computed.objects import base


@base.registry.register
class InstanceFault(base.ComputedObject):
    """The last fault of an instance."""

    VERSION = '1.0'

    fields = {
        'uuid': fields.UUIDField(),
        'host': fields.StringField(),
        'fault': fields.StringField(nullable=True),
        'revision': fields.IntegerField(),
    }

    @base.remotable_read
    def get_by_uuid(cls, context, uuid):
        """Return the fault of an instance.

        :raises computed.exception.InstanceNotFound: there is no instance
        """
        return cls.from_row(context, fault_queries.get(context, uuid))

    @base.remotable_write
    def clear(self):
        """Forget the fault if the instance is still as it was read.

        :raises computed.exception.TolerantObject: it was read tolerantly
        :raises computed.exception.InstanceChanged: the instance has changed
        """
        self.revision = fault_queries.clear(
            self._context, self.uuid, self.host, self.revision)
        self.fault = None
        self.obj_reset_changes()
