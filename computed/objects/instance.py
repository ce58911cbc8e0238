"""Instances."""

from oslo_versionedobjects import fields

from computed import db
from computed.objects import base


@base.registry.register
class Instance(base.ComputedObject):
    """One instance. While a claim is held, only its holder may change it."""

    # Version 1.0: Initial version
    VERSION = '1.0'

    fields = {
        'uuid': fields.UUIDField(),
        'name': fields.StringField(),
        'host': fields.StringField(nullable=True),
        'vm_state': fields.StringField(),
        'task_state': fields.StringField(nullable=True),
        'power_state': fields.IntegerField(),
        'command': fields.StringField(),
        'vcpus': fields.IntegerField(),
        'memory_mb': fields.IntegerField(),
        'disk_gb': fields.IntegerField(),
        'network': fields.StringField(),
        'exit_code': fields.IntegerField(nullable=True),
        'fault': fields.StringField(nullable=True),
        'created_at': fields.DateTimeField(nullable=True),
        'launched_at': fields.DateTimeField(nullable=True),
        'updated_at': fields.DateTimeField(nullable=True),
        'deleted_at': fields.DateTimeField(nullable=True),
        'deleted': fields.BooleanField(),
        'revision': fields.IntegerField(),
        'claim_id': fields.StringField(nullable=True),
        'claim_owner': fields.StringField(nullable=True),
    }

    @base.remotable_read
    def get_by_uuid(cls, context, uuid):
        """The instance, deleted or not.

        :raises computed.exception.InstanceNotFound: there is none
        """
        return cls.from_row(context, db.instance.get(context, uuid))

    @base.remotable
    def create(self):
        """Write a new instance; its fields are then as the database has
        them.
        """
        row = db.instance.create(self._context, self.obj_get_changes())
        self._become(row)

    @base.remotable
    def save(self):
        """Write the changed fields, if nobody changed the row meanwhile.

        :raises computed.exception.InstanceChanged: somebody did; nothing
            was written
        """
        changes = self.obj_get_changes()
        if not changes:
            return
        self._become(db.instance.update(
            self._context, self.uuid, self.host, self.revision, changes))

    def refresh(self):
        """Read the row again, where the context allows.

        A replica may know less than this object already does: then the
        object stays as it is.
        """
        fresh = Instance.get_by_uuid(self._context, self.uuid)
        if fresh.revision < self.revision:
            return
        for name in self.fields:
            setattr(self, name, getattr(fresh, name))
        self.origin = fresh.origin
        self.obj_reset_changes()

    def _become(self, row):
        for name in self.fields:
            setattr(self, name, base.as_aware(getattr(row, name)))
        self.obj_reset_changes()

    # Only computed.claims calls these.

    @classmethod
    @base.remotable
    def grant_claim(cls, context, uuid, host, database_id, claim_id, owner,
                    operation, expected, values):
        """See :func:`computed.db.claim.grant`.

        :raises computed.exception.WrongDatabase: it is not ``database_id``
        """
        db.database.ensure_is(context, database_id)
        return cls.from_row(context, db.claim.grant(
            context, uuid, host, claim_id, owner, operation, expected,
            values))

    @classmethod
    @base.remotable
    def settle_claim(cls, context, uuid, host, claim_id, values):
        """See :func:`computed.db.claim.settle`."""
        row = db.claim.settle(context, uuid, host, claim_id, values)
        return None if row is None else cls.from_row(context, row)

    @classmethod
    @base.remotable
    def adopt_claim(cls, context, uuid, host, old_claim_id, service_id,
                    claim_id, owner):
        """See :func:`computed.db.claim.adopt`."""
        return cls.from_row(context, db.claim.adopt(
            context, uuid, host, old_claim_id, service_id, claim_id, owner))


@base.registry.register
class InstanceList(base.ObjectListBase, base.ComputedObject):
    # Version 1.0: Initial version
    VERSION = '1.0'

    fields = {'objects': fields.ListOfObjectsField('Instance')}

    @classmethod
    def _from_rows(cls, context, rows):
        self = cls(context, objects=[Instance.from_row(context, row)
                                     for row in rows])
        self.obj_reset_changes()
        return self

    @base.remotable_read
    def get_by_host(cls, context, host):
        """The live instances on ``host``, by uuid."""
        return cls._from_rows(
            context, db.instance.get_all_by_host(context, host))

    @base.remotable_read
    def get_all(cls, context):
        """Every live instance, by name."""
        return cls._from_rows(context, db.instance.get_all(context))

    @base.remotable_read
    def get_by_name(cls, context, name):
        """The live instances called ``name``."""
        return cls._from_rows(context, db.instance.get_all(context, name))

    @classmethod
    @base.remotable
    def record_power_states(cls, context, host, changes):
        """See :func:`computed.db.instance.record_power_states`."""
        return db.instance.record_power_states(context, host, changes)
