"""What every versioned object shares, and how its methods find a database.

A process with a database runs an object's methods itself. Any other process
sends them to a conductor, through a client that the context names or that
:func:`use_conductor` has set.
"""

import datetime
import functools
import inspect
import typing
from collections import abc

from oslo_versionedobjects import base as ovo
from oslo_versionedobjects import fields

from computed import context as computed_context
from computed import exception
from computed.objects import versions

registry = ovo.VersionedObjectRegistry
remotable = ovo.remotable
ObjectListBase = ovo.ObjectListBase

Versions = dict[str, str]
# The field of an object that names its damaged fields.
DAMAGED = 'damaged'
# What stands for a damaged value in a field that cannot be None.
NEUTRAL: dict[type, typing.Any] = {
    fields.IntegerField: 0, fields.FloatField: 0.0, fields.StringField: '',
    fields.UUIDField: '', fields.BooleanField: False,
    fields.DateTimeField: datetime.datetime(
        1970, 1, 1, tzinfo=datetime.UTC)}
# The library keeps the value of a field in an attribute with this before its
# name; a test checks it.
STORED = '_obj_'
Method = abc.Callable[..., typing.Any]


class Conductor(typing.Protocol):
    """A client that runs objects' methods in a conductor."""

    def object_class_action_versions(
            self, context: computed_context.RequestContext, objname: str,
            objmethod: str, object_versions: Versions, args: tuple,
            kwargs: dict[str, typing.Any]) -> typing.Any: ...

    def object_action(
            self, context: computed_context.RequestContext,
            objinst: 'ComputedObject', objmethod: str, args: tuple,
            kwargs: dict[str, typing.Any]
            ) -> tuple[dict[str, typing.Any], typing.Any]: ...

    def object_backport_versions(
            self, context: computed_context.RequestContext,
            objinst: typing.Any, object_versions: Versions
            ) -> 'ComputedObject': ...

    def sync_instance_info(
            self, context: computed_context.RequestContext, host: str,
            version: int, count: int, digest: str,
            uuids: list[str] | None = None) -> bool: ...


class ComputedObject(ovo.VersionedObject):
    """An object of computed.

    :ivar origin: where it was read, a :class:`computed.context.Origin`;
        None if it was not read here
    """

    OBJ_SERIAL_NAMESPACE = versions.NAMESPACE
    OBJ_PROJECT_NAMESPACE = 'computed'

    origin: computed_context.Origin | None = None

    if typing.TYPE_CHECKING:
        # The library makes an attribute of each field.
        def __getattr__(self, name: str) -> typing.Any: ...

    # True if it was read tolerantly: its writing methods then refuse. False
    # if it was read strictly: it is refreshed strictly. None if it was not
    # read here, but made, or received from a caller who checks it.
    tolerant: bool | None = None

    # {field: the version that brought it}; all others came with 1.0. A peer
    # does not get the fields that are newer than its version. Comments at
    # VERSION name the other additions: new methods and parameters.
    SINCE: dict[str, str] = {}

    if typing.TYPE_CHECKING:
        # The registry makes an attribute of each field at run time.
        def __getattr__(self, name: str) -> typing.Any: ...

    def obj_load_attr(self, attrname: str) -> typing.NoReturn:
        """Refuse to look up a field that was never set.

        :raises computed.exception.FieldNotSet: always
        """
        raise exception.FieldNotSet(name=self.obj_name(), field=attrname)

    @classmethod
    def from_row(cls, context: computed_context.RequestContext,
                 row: typing.Any, **more: typing.Any) -> typing.Self:
        """Make an object from the columns of ``row`` that are its fields.

        One damaged row must not make a whole list unreadable. So a value that
        does not fit its field is left out, and the field ``damaged`` names
        it.

        :param more: the fields that are not columns
        """
        values = {**cls.columns_of(row, more), **more}
        try:
            self = cls(context, **values)
        except (ValueError, TypeError):
            self = cls(context, **cls._without_damage(values))
        self.obj_reset_changes()
        return self

    @classmethod
    def columns_of(cls, row: typing.Any, without: abc.Container[str] = ()
                   ) -> dict[str, typing.Any]:
        """Return the values of the fields that are columns of ``row``."""
        return {name: as_aware(getattr(row, name)) for name in cls.fields
                if name not in without and name != DAMAGED}

    @classmethod
    def _without_damage(cls, values: dict[str, typing.Any]
                        ) -> dict[str, typing.Any]:
        """Replace the values that do not fit their fields, and name them.

        :raises ValueError: a class without the field ``damaged`` has one
        """
        blank, sound, damaged = cls(), dict(values), []
        for name, value in values.items():
            field = cls.fields[name]
            try:
                field.coerce(blank, name, value)
            except (ValueError, TypeError):
                if DAMAGED not in cls.fields:
                    raise
                damaged.append(name)
                sound[name] = None if field.nullable else NEUTRAL[type(field)]
        return {**sound, DAMAGED: damaged}

    def damaged_fields(self) -> list[str]:
        """Return the fields whose values in the database do not fit them."""
        return self.damaged if (
            DAMAGED in self.fields and self.obj_attr_is_set(DAMAGED)) else []

    def obj_attr_is_set(self, attrname: str) -> bool:
        """Return whether a field has a value."""
        # The library makes a list of all fields to look a name up.
        return (STORED + attrname in vars(self) if attrname in self.fields
                else super().obj_attr_is_set(attrname))

    def obj_what_changed(self) -> set[str]:
        """Return the fields that have changed, or whose objects have."""
        stored = vars(self)
        inside = {name for name in self.fields if isinstance(
            one := stored.get(STORED + name), ovo.VersionedObject) and
            one.obj_what_changed()}
        return self._changed_fields & self.fields.keys() | inside

    def __deepcopy__(self, memo: dict[int, typing.Any]) -> typing.Self:
        twin = super().__deepcopy__(memo)
        twin.tolerant = self.tolerant
        return twin

    def obj_make_compatible_from_manifest(
            self, primitive: dict[str, typing.Any], target_version: str,
            version_manifest: Versions | None) -> None:
        """Remove the fields that ``target_version`` does not have."""
        super().obj_make_compatible_from_manifest(
            primitive, target_version, version_manifest)
        target = versions.parsed(target_version)
        for name, version in self.SINCE.items():
            if target < versions.parsed(version):
                primitive.pop(name, None)


class Page(ObjectListBase):
    """A list that can grow, or a part of it.

    Its reads take ``limit``, the most rows to return, and ``marker``, the
    ``next_marker`` of the page before. Without both they return the first
    page. A page has at most ``[conductor] max_page`` rows. It may have fewer
    rows than ``limit`` and not be the last page.

    :ivar next_marker: the marker of the next page, an opaque text; None: this
        is the last page
    """

    SINCE = {'next_marker': '1.1'}

    fields = {'next_marker': fields.StringField(nullable=True)}

    @classmethod
    def of(cls, context: computed_context.RequestContext, page: typing.Any,
           make: Method) -> typing.Self:
        """Make the list of a :class:`computed.db.engine.pages.Page`.

        :param make: returns the object of a context and a row
        """
        self = cls(context, next_marker=page.next_marker,
                   objects=[make(context, row) for row in page.rows])
        self.obj_reset_changes()
        return self


def as_aware(value: typing.Any) -> typing.Any:
    """Return a time of the database, which is naive UTC, with its zone.

    Any other value is returned as it is.
    """
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=datetime.UTC)
    return value


class _ByContext:
    """What the library calls in place of a method: a conductor's client.

    :param default: the client for a context that names none
    """

    def __init__(self, default: Conductor) -> None:
        self.default = default

    def object_class_action_versions(
            self, context: computed_context.RequestContext, *args: typing.Any
            ) -> typing.Any:
        client = context.conductor or self.default
        return client.object_class_action_versions(context, *args)

    def object_action(
            self, context: computed_context.RequestContext, *args: typing.Any
            ) -> tuple[dict[str, typing.Any], typing.Any]:
        client = context.conductor or self.default
        return client.object_action(context, *args)


def use_conductor(client: Conductor | None) -> Conductor | None:
    """Make ``client`` the default of this process; return the one before.

    :param client: for each context that does not name a client itself. None:
        this process has the database; it runs every method itself, and no
        context's client counts.
    """
    before = ComputedObject.indirection_api
    # The library's base class has methods that it never calls.
    ComputedObject.indirection_api = (
        None if client is None else
        _ByContext(client))     # type: ignore[assignment]
    return before.default if isinstance(before, _ByContext) else None


def conductor_of(context: computed_context.RequestContext
                 ) -> Conductor | None:
    """Return the client for ``context``; None: this process has the database.
    """
    found = ComputedObject.indirection_api
    if not isinstance(found, _ByContext):
        return None
    return context.conductor or found.default


def remotable_read(method: Method) -> typing.Any:
    """Make a remote class method that accepts ``use_slave`` and ``after``.

    ``use_slave`` stays here. It becomes ``context.lag_tolerant``, which the
    serializer carries over RPC and ``db.routing`` obeys. None, the default,
    keeps what the context says. True lets a replica answer. False makes the
    read strict.

    ``after='host'`` is for the host in the argument ``host``. It lets a
    replica answer that has proved to have every change that raised the
    revision of this host. If the query reads only rows whose changes raise
    it, the answer is exact. All else in the answer is as old as its
    ``origin`` says.

    :raises ValueError: both were given, or ``after`` is another text
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(cls: type[ComputedObject],
                context: computed_context.RequestContext, *args: typing.Any,
                use_slave: bool | None = None, after: str | None = None,
                **kwargs: typing.Any) -> typing.Any:
        asked = context
        if after is not None:
            if use_slave is not None or after != 'host':
                raise ValueError("after is 'host', and without use_slave")
            asked = context.exact_for(signature.bind(
                cls, context, *args, **kwargs).arguments['host'])
        elif use_slave is not None:
            asked = context.tolerating_lag(use_slave)
        # This is done here and not in the library, which saves one call.
        client = conductor_of(asked)
        if client is None:
            found = method(cls, asked, *args, **kwargs)
        else:
            found = client.object_class_action_versions(
                asked, cls.obj_name(), method.__name__,
                versions.tree(cls.obj_name()), args, kwargs)
        # The tolerance was for this read only.
        for member in members(found):
            member._context = context
            member.tolerant = asked.lag_tolerant
        return found
    wrapper.remotable = True
    # The library's version check takes the signature from here.
    wrapper.original_fn = method
    return classmethod(wrapper)


def remotable_write(method: Method) -> Method:
    """Make a remote method that writes fields of its object.

    What it writes rests on the fields as they were read. So it refuses an
    object that was read tolerantly, before any call to the conductor. The
    flag does not cross RPC: the conductor relies on this check, and on the
    revision in the WHERE of the statement.

    :raises computed.exception.TolerantObject: read it strictly first
    """
    remote = remotable(method)

    @functools.wraps(method)
    def wrapper(self: ComputedObject, *args: typing.Any,
                **kwargs: typing.Any) -> typing.Any:
        if self.tolerant:
            raise exception.TolerantObject(
                name=self.obj_name(), method=method.__name__,
                key=getattr(self, 'uuid', None) or self.name)
        return remote(self, *args, **kwargs)
    wrapper.remotable = True
    wrapper.refuses_tolerant = True
    # The library's version check takes the signature from here.
    wrapper.original_fn = method
    return wrapper


def members(result: typing.Any) -> abc.Iterator[ComputedObject]:
    """Yield the objects in a method's result: itself, a list's members."""
    if isinstance(result, ComputedObject):
        yield result
        yield from getattr(result, 'objects', ())
