"""What every versioned object shares."""

import datetime
import functools

from oslo_versionedobjects import base as ovo

registry = ovo.VersionedObjectRegistry
remotable = ovo.remotable
ObjectListBase = ovo.ObjectListBase


class ComputedObject(ovo.VersionedObject):
    """An object of computed.

    :ivar origin: where it was read, a :class:`computed.context.Origin`;
        None if it was not read here
    """

    OBJ_SERIAL_NAMESPACE = 'computed_object'
    OBJ_PROJECT_NAMESPACE = 'computed'

    origin = None

    @classmethod
    def from_row(cls, context, row, **more):
        """An object from the columns of ``row`` named as its fields."""
        values = {name: as_aware(getattr(row, name)) for name in cls.fields
                  if name not in more}
        self = cls(context, **values, **more)
        self.obj_reset_changes()
        return self


def as_aware(value):
    """The database keeps naive UTC; objects carry the time zone."""
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=datetime.UTC)
    return value


def remotable_read(method):
    """Make a remote class method that accepts ``use_slave``.

    ``use_slave`` stops here. It becomes ``context.lag_tolerant``, which the
    serializer carries over RPC and ``db.routing`` obeys. ``None``, the
    default, keeps whatever the context already says; ``True`` lets a replica
    answer, ``False`` makes the read strict.
    """
    remote = remotable(method)

    @functools.wraps(method)
    def wrapper(cls, context, *args, use_slave=None, **kwargs):
        asked = context
        if use_slave is not None:
            asked = context.tolerating_lag(use_slave)
        found = remote(cls, asked, *args, **kwargs)
        # The tolerance was for this read only: a later save of what was
        # found is as strict as its caller.
        for member in members(found):
            member._context = context
        return found
    wrapper.remotable = True
    # Where the library's version check looks for the signature.
    wrapper.original_fn = method
    return classmethod(wrapper)


def members(result):
    """The objects in the result of a method: itself, its list's members."""
    if isinstance(result, ComputedObject):
        yield result
        yield from getattr(result, 'objects', ())
