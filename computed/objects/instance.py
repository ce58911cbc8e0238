"""Instances."""

import typing
from collections import abc

from oslo_versionedobjects import fields

from computed import context as computed_context
from computed import exception
from computed.db import cell as db
from computed.db import engine
from computed.logs import named
from computed.objects import arguments
from computed.objects import base
from computed.objects import host as host_obj
from computed.objects import parts
from computed.objects import resources as resources_obj

# How many times a list is read in parts that turn out to differ.
TRIES = 3


@base.registry.register
class Instance(base.ComputedObject):
    """One instance. During a claim only its holder can change it."""

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
        'task_state_since': fields.DateTimeField(nullable=True),
        'build_started_at': fields.DateTimeField(nullable=True),
        'launched_at': fields.DateTimeField(nullable=True),
        'updated_at': fields.DateTimeField(nullable=True),
        'deleted_at': fields.DateTimeField(nullable=True),
        'terminated_at': fields.DateTimeField(nullable=True),
        'deleted': fields.BooleanField(),
        'cleaned': fields.BooleanField(),
        'clean_attempts': fields.IntegerField(),
        'clean_failed': fields.BooleanField(),
        'revision': fields.IntegerField(),
        'claim_id': fields.StringField(nullable=True),
        'claim_owner': fields.StringField(nullable=True),
        'settled_claim_id': fields.StringField(nullable=True),
        'damaged': fields.ListOfStringsField(),
    }

    @property
    def label(self) -> str:
        """Return what a log line calls it."""
        return named.instance(self.name, self.uuid)

    @base.remotable_read
    def get_by_uuid(cls, context: computed_context.RequestContext,
                    uuid: str) -> typing.Self:
        """Return one instance, deleted or not.

        :raises computed.exception.InstanceNotFound: there is no such instance
        """
        return cls.from_row(context, db.instance.get(context, uuid))

    @base.remotable
    def create(self, ensure_room: bool = False) -> None:
        """Insert a new instance and take its fields from the database.

        Repeat it with the same uuid if the first call got no answer: then it
        takes the fields of the row that the first call inserted.

        :param ensure_room: refuse it if its host has no room; the primary
            decides that in the transaction that inserts it
        :raises computed.exception.NoRoom: the host has less left than the
            instance needs
        :raises computed.exception.HostNotFound: there is no such host
        :raises computed.exception.InstanceBusy: there is a claim on a guest
            with this uuid
        :raises computed.exception.InstanceExists: an instance with this uuid
            was ordered with other values
        """
        values = self.obj_get_changes()

        def admit(node: 'db.models.ComputeNode',
                  promised: dict[str, int]) -> None:
            resources_obj.ensure_room(values, host_obj.ComputeNode.from_row(
                self._context, node), promised)
        row = db.instance.create(
            self._context, values, admit if ensure_room else None)
        self._become(row)

    @base.remotable_write
    def save(self) -> None:
        """Write the changed fields if the row is still as it was read.

        An error means that nothing was written.

        :raises computed.exception.TolerantObject: it was read tolerantly
        :raises computed.exception.InstanceChanged: the row has changed
        :raises computed.exception.InstanceBusy: there is a claim on it
        """
        changes = self.obj_get_changes()
        if not changes:
            return
        self._become(db.instance.update(
            self._context, self.uuid, self.host, self.revision, changes))

    @classmethod
    @base.remotable
    def delete_on_record(cls, context: computed_context.RequestContext,
                         uuid: arguments.Uuid, host: str | None,
                         force: bool) -> typing.Self:
        """See :func:`computed.db.cell.retired.delete_instance`."""
        return cls.from_row(context, db.retired.delete_instance(
            context, uuid, host, force))

    def refresh(self) -> None:
        """Read the row again, as tolerantly as the context allows.

        An object that was read strictly is read strictly again. If the
        answer is older than this object, the object stays as it is.
        """
        fresh = Instance.get_by_uuid(
            self._context, self.uuid,
            use_slave=False if self.tolerant is False else None)
        if fresh.revision < self.revision:
            return
        self._take(fresh)
        self.origin, self.tolerant = fresh.origin, fresh.tolerant
        self.obj_reset_changes()

    def _become(self, row: 'db.models.Instance') -> None:
        """Take all fields from a row."""
        self._take(Instance.from_row(self._context, row))
        self.obj_reset_changes()

    def _take(self, other: typing.Self) -> None:
        for name in self.fields:
            if name != base.DAMAGED and other.obj_attr_is_set(name):
                setattr(self, name, getattr(other, name))
        if self.damaged_fields() or other.damaged_fields():
            self.damaged = other.damaged_fields()


@base.registry.register
class InstanceList(base.Page, base.ComputedObject):
    """A page of instances, or all instances of a host."""

    # 1.1: the reads take limit and marker, get_all also host, vm_state, name;
    # get_part_by_host
    VERSION = '1.1'

    fields = {'objects': fields.ListOfObjectsField('Instance')}

    @base.remotable_read
    def get_by_host(cls, context: computed_context.RequestContext,
                    host: str, limit: int | None = None,
                    marker: str | None = None) -> typing.Self:
        """Return the live instances on a host.

        Without limit and marker it returns all of them, by uuid, and the
        revision of the host. They may be more than one answer can have:
        tasks use :meth:`get_whole_by_host`. With one of them it returns a
        page, like :meth:`get_all`.
        """
        if limit is not None or marker is not None:
            return cls._page(context, limit, marker, host=host)
        rows = db.instance.get_all_by_host(context, host)
        return cls.of(context, engine.pages.Page(rows, None),
                      Instance.from_row)

    @base.remotable_read
    def get_part_by_host(cls, context: computed_context.RequestContext,
                         host: str, beyond: str = '') -> typing.Self:
        """Return as many instances of a host as fit, by uuid.

        :param beyond: the ``next_marker`` of the part before
        """
        return cls.of(context, db.instance.get_part_by_host(
            context, host, beyond), Instance.from_row)

    @classmethod
    def get_whole_by_host(cls, context: computed_context.RequestContext,
                          host: str, use_slave: bool | None = None,
                          after: str | None = None) -> typing.Self:
        """Return all live instances on a host, by uuid, as of one moment.

        Nearly always that is one call. A list that is too long for one answer
        comes in parts, which have one revision of the host: then nothing has
        changed between them.

        :raises computed.exception.ListChanged: something has, each time
        :raises ValueError: see :func:`base.remotable_read`
        """
        return cls._whole(host, '', lambda marker: cls.get_part_by_host(
            context, host, marker, use_slave=use_slave, after=after))

    @classmethod
    def get_whole_uncleaned(cls, context: computed_context.RequestContext,
                            host: str, use_slave: bool | None = None
                            ) -> typing.Self:
        """Return all instances of :meth:`get_uncleaned`.

        :raises: as :meth:`get_whole_by_host`
        """
        return cls._whole(host, None, lambda marker: cls.get_uncleaned(
            context, host, marker=marker, use_slave=use_slave))

    @classmethod
    def get_whole_by_uuids(cls, context: computed_context.RequestContext,
                           host: str, uuids: abc.Iterable[str],
                           use_slave: bool | None = None) -> typing.Self:
        """Return the instances with these uuids, deleted or not, of any host.

        :param uuids: not more than one call may have
        :param host: that asks, for the error
        :raises: as :meth:`get_whole_by_host`
        """
        wanted = sorted(uuids)
        return cls._whole(host, None, lambda marker: cls.get_by_uuids(
            context, wanted, marker=marker, use_slave=use_slave))

    @classmethod
    def _whole(cls, host: str, first: str | None,
               read: abc.Callable[[typing.Any], typing.Self]) -> typing.Self:
        """Return one list of all parts, which are of one history.

        :param first: the marker of the first part
        :param read: returns the part with a marker
        """
        def each() -> abc.Iterator[typing.Self]:
            yield (part := read(first))
            while part.next_marker is not None:
                yield (part := read(part.next_marker))
        for _ in range(TRIES):
            if (found := parts.joined(each())) is not None:
                return found
        raise exception.ListChanged(host=host, retry_after=1.0)

    @base.remotable_read
    def get_all(cls, context: computed_context.RequestContext,
                limit: int | None = None, marker: str | None = None,
                host: str | None = None, vm_state: str | None = None,
                name: str | None = None, deleted: bool = False
                ) -> typing.Self:
        """Return live instances, by name and uuid; see :class:`base.Page`.

        :param host: only instances on this host
        :param vm_state: only instances in this state
        :param name: only instances with this name
        :param deleted: return deleted instances in place of live ones
        """
        return cls._page(context, limit, marker, deleted, host=host,
                         vm_state=vm_state, name=name)

    @base.remotable_read
    def get_by_name(cls, context: computed_context.RequestContext,
                    name: str, limit: int | None = None,
                    marker: str | None = None) -> typing.Self:
        """Return the live instances with a name, by uuid.

        See :class:`base.Page`.
        """
        return cls._page(context, limit, marker, name=name)

    @base.remotable_read
    def get_left(cls, context: computed_context.RequestContext,
                 host: str, limit: int | None = None,
                 marker: str | None = None) -> typing.Self:
        """See :func:`computed.db.cell.retired.get_left`."""
        return cls.of(context, db.retired.get_left(
            context, host, limit, marker), Instance.from_row)

    @base.remotable_read
    def get_uncleaned(cls, context: computed_context.RequestContext,
                      host: str, limit: int | None = None,
                      marker: str | None = None) -> typing.Self:
        """See :func:`computed.db.cell.deleted.get_uncleaned`."""
        return cls.of(context, db.deleted.get_uncleaned(
            context, host, limit, marker), Instance.from_row)

    @base.remotable_read
    def get_by_uuids(cls, context: computed_context.RequestContext,
                     uuids: arguments.Uuids, limit: int | None = None,
                     marker: str | None = None) -> typing.Self:
        """See :func:`computed.db.cell.deleted.get_by_uuids`."""
        return cls.of(context, db.deleted.get_by_uuids(
            context, uuids, limit, marker), Instance.from_row)

    @classmethod
    def _page(cls, context: computed_context.RequestContext,
              limit: int | None, marker: str | None, deleted: bool = False,
              **filters: str | None) -> typing.Self:
        return cls.of(
            context, db.instance.get_page(
                context, limit, marker, deleted, **filters),
            Instance.from_row)

    @classmethod
    @base.remotable
    def record_power_states(cls, context: computed_context.RequestContext,
                            host: str, changes: arguments.PowerChanges,
                            owner: arguments.Owner) -> int:
        """See :func:`computed.db.cell.instance.record_power_states`."""
        return db.instance.record_power_states(context, host, changes, owner)
