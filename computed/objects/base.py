"""What every versioned object shares."""

import datetime
import functools
import inspect

from oslo_versionedobjects import base as ovo
from oslo_versionedobjects import fields

from computed import exception
from computed.objects import versions

registry = ovo.VersionedObjectRegistry
remotable = ovo.remotable
ObjectListBase = ovo.ObjectListBase


class ComputedObject(ovo.VersionedObject):
    """An object of computed.

    :ivar origin: where it was read, a :class:`computed.context.Origin`;
        None if it was not read here
    """

    OBJ_SERIAL_NAMESPACE = versions.NAMESPACE
    OBJ_PROJECT_NAMESPACE = 'computed'

    origin = None

    # True if it was read tolerantly: its writing methods then refuse. False
    # if it was read strictly: it is refreshed strictly. None if it was not
    # read here, but made, or received from a caller who checks it.
    tolerant: bool | None = None

    # {field: the version that brought it}; all others came with 1.0. A peer
    # does not get the fields that are newer than its version. Comments at
    # VERSION name what is no field: new methods and parameters.
    SINCE: dict[str, str] = {}

    @classmethod
    def from_row(cls, context, row, **more):
        """An object from the columns of ``row`` named as its fields."""
        values = {name: as_aware(getattr(row, name)) for name in cls.fields
                  if name not in more}
        self = cls(context, **values, **more)
        self.obj_reset_changes()
        return self

    def __deepcopy__(self, memo):
        twin = super().__deepcopy__(memo)
        twin.tolerant = self.tolerant
        return twin

    def obj_make_compatible_from_manifest(self, primitive, target_version,
                                          version_manifest):
        super().obj_make_compatible_from_manifest(
            primitive, target_version, version_manifest)
        target = versions.parsed(target_version)
        for name, version in self.SINCE.items():
            if target < versions.parsed(version):
                primitive.pop(name, None)


class Page(ObjectListBase):
    """A list that can grow, or a part of it.

    Its reads take ``limit``, the most rows to return, and ``marker``, the
    ``next_marker`` of the page before. Neither given: the first page. No page
    has more than ``[conductor] max_page`` rows; one may have fewer than asked
    for and yet not be the last.

    :ivar next_marker: where the next page begins, to be handed back as it
        is; None: this is the last one
    """

    SINCE = {'next_marker': '1.1'}

    fields = {'next_marker': fields.StringField(nullable=True)}

    @classmethod
    def of(cls, context, page, make):
        """The list of a :class:`computed.db.engine.pages.Page`.

        :param make: an object of a context and a row
        """
        self = cls(context, next_marker=page.next_marker,
                   objects=[make(context, row) for row in page.rows])
        self.obj_reset_changes()
        return self


def as_aware(value):
    """The database keeps naive UTC; objects carry the time zone."""
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=datetime.UTC)
    return value


def remotable_read(method):
    """Make a remote class method that accepts ``use_slave`` and ``after``.

    ``use_slave`` stops here. It becomes ``context.lag_tolerant``, which the
    serializer carries over RPC and ``db.routing`` obeys. ``None``, the
    default, keeps whatever the context already says; ``True`` lets a replica
    answer, ``False`` makes the read strict.

    ``after='host'`` makes the read exact for the host that is its argument
    ``host``, and lets a replica answer that is shown to have all of it. Only
    for reads of nothing but rows whose changes bump that host's revision.
    """
    remote = remotable(method)
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(cls, context, *args, use_slave=None, after=None, **kwargs):
        asked = context
        if after is not None:
            if use_slave is not None or after != 'host':
                raise ValueError("after is 'host', and without use_slave")
            asked = context.exact_for(signature.bind(
                cls, context, *args, **kwargs).arguments['host'])
        elif use_slave is not None:
            asked = context.tolerating_lag(use_slave)
        found = remote(cls, asked, *args, **kwargs)
        # The tolerance was for this read only: a later save of what was
        # found is as strict as its caller.
        for member in members(found):
            member._context = context
            member.tolerant = asked.lag_tolerant
        return found
    wrapper.remotable = True
    # Where the library's version check looks for the signature.
    wrapper.original_fn = method
    return classmethod(wrapper)


def remotable_write(method):
    """Make a remote method that writes fields of its object.

    What it writes rests on the fields as they were read. So it refuses an
    object that was read tolerantly, before any call to the conductor. The
    flag does not cross RPC: the conductor relies on this check, and on the
    revision in the WHERE of the statement.

    :raises computed.exception.TolerantObject: read it strictly first
    """
    remote = remotable(method)

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        if self.tolerant:
            raise exception.TolerantObject(
                name=self.obj_name(), method=method.__name__,
                key=getattr(self, 'uuid', None) or self.name)
        return remote(self, *args, **kwargs)
    wrapper.remotable = True
    wrapper.refuses_tolerant = True
    # Where the library's version check looks for the signature.
    wrapper.original_fn = method
    return wrapper


def members(result):
    """The objects in the result of a method: itself, its list's members."""
    if isinstance(result, ComputedObject):
        yield result
        yield from getattr(result, 'objects', ())
