"""The conductor's endpoint: it runs objects' methods for other processes.

Every reply says where its data was read and what the request has written.
So the next call, through any conductor, sees at least as much.
"""

import contextlib
import typing
from collections import abc

import oslo_messaging as messaging

from computed import context as computed_context
from computed import exception
from computed.conductor import host_instances
from computed.db import cell as db
from computed.objects import arguments
from computed.objects import base
from computed.objects import versions
from computed.rpc import endpoint
from computed.rpc import schema

Context = computed_context.RequestContext
Values = dict[str, typing.Any]

# 1.0: objects' methods, replicas
# 1.1: object_backport_versions
# 1.2: sync_instance_info
TARGET = messaging.Target(topic='conductor', version='1.2')


def remote_method(owner: typing.Any, name: str) -> base.Method:
    """Return the method ``name`` of ``owner``, if peers may call it.

    A method of objects is none of their class, and the other way round.

    :raises computed.exception.NotRemotable: they may not
    """
    method: typing.Any = getattr(owner, name, None)
    if not getattr(method, 'remotable', False) or (
            getattr(method, '__self__', None) is not owner):
        raise exception.NotRemotable(method=name)
    return method


def checked(name: str, method: base.Method, own: int,
            args: abc.Sequence[typing.Any], kwargs: Values) -> base.Method:
    """Return a remotable ``method`` if it accepts what a peer sent.

    :param name: what to call it in the error text
    :param own: how many parameters the peer does not send
    :raises computed.exception.BadRequest: it does not accept it
    """
    schema.check(name, getattr(method, 'original_fn', method), own, args,
                 kwargs)
    return method


def reply(context: Context, **values: typing.Any) -> Values:
    """Add to ``values`` where they were read and what was written."""
    origin = context.reads.last
    return {**values,
            'origin': origin and origin.to_dict(),
            'tokens': context.tokens.news()}


def ensure_ours(context: Context) -> None:
    """Refuse the request of a peer that belongs to another database.

    The address of the database may lead to another one, for example a copy.

    :raises computed.exception.WrongDatabase: it does
    """
    if context.database_id is not None:
        db.database.ensure_is(context, context.database_id)


@contextlib.contextmanager
def attach_origin(context: Context) -> abc.Iterator[None]:
    """Add its origin to an error that rests on a read beyond its bound."""
    try:
        yield
    except exception.ComputedError as error:
        oldest = context.reads.oldest
        if oldest is not None:
            error.kwargs['origin'] = oldest.to_dict()
        raise


def as_known(result: base.ComputedObject, theirs: base.Versions) -> Values:
    """Return ``result`` as a primitive that a peer understands.

    :param theirs: ``{name: version}`` of the objects that the peer knows
    :raises computed.exception.IncompatiblePeer: no version is known to both
    """
    if theirs == versions.tree(result.obj_name()):
        return result.obj_to_primitive()
    manifest = versions.agreed(theirs)
    return result.obj_to_primitive(
        target_version=versions.common(
            result.obj_name(), theirs.get(result.obj_name(), '1.0')),
        version_manifest=manifest)


class ConductorManager:
    """The endpoint of ``computed-conductor``."""

    target = TARGET

    def __init__(self, replicas: abc.Callable[[], list[Values]]) -> None:
        """:param replicas: returns the state of each database node"""
        self._replicas = replicas
        self.host_instances = host_instances.HostInstances()

    @endpoint.exposed
    def object_class_action_versions(
            self, context: Context, objname: str, objmethod: str,
            object_versions: base.Versions, args: tuple,
            kwargs: Values) -> Values:
        """Run a class method; its result has the versions of the peer."""
        ensure_ours(context)
        if objname not in object_versions:
            raise exception.NotRemotable(method=f'{objname}.{objmethod}')
        cls = base.ComputedObject.obj_class_from_name(
            objname, versions.common(objname, object_versions[objname]))
        method = checked(f'{objname}.{objmethod}',
                         remote_method(cls, objmethod), 2, args, kwargs)
        with attach_origin(context):
            result = method(context, *args, **kwargs)
        if isinstance(result, base.ComputedObject):
            result = as_known(result, object_versions)
        return reply(context, result=result)

    @endpoint.exposed
    def object_backport_versions(
            self, context: Context, objinst: base.ComputedObject,
            object_versions: base.Versions) -> Values:
        """Translate an object to the versions that a peer knows.

        :param object_versions: ``{name: version}`` that the peer knows
        """
        return as_known(objinst, object_versions)

    @endpoint.exposed
    def object_action(self, context: Context, objinst: base.ComputedObject,
                      objmethod: str, args: tuple, kwargs: Values) -> Values:
        """Run a method of an object; return the fields that it changed."""
        ensure_ours(context)
        method = checked(f'{objinst.obj_name()}.{objmethod}',
                         remote_method(objinst, objmethod), 1, args, kwargs)
        before = objinst.obj_clone()
        result = method(*args, **kwargs)
        updates = {
            name: field.to_primitive(objinst, name, getattr(objinst, name))
            for name, field in objinst.fields.items()
            if objinst.obj_attr_is_set(name) and not (
                before.obj_attr_is_set(name) and
                getattr(before, name) == getattr(objinst, name))}
        updates['obj_what_changed'] = sorted(objinst.obj_what_changed())
        return reply(context, updates=updates, result=result)

    @endpoint.exposed
    def sync_instance_info(
            self, context: Context, host: str, version: int, count: int,
            digest: arguments.Sha256,
            uuids: list[arguments.Uuid] | None = None) -> bool:
        """See :meth:`.host_instances.HostInstances.hear`."""
        ensure_ours(context)
        return self.host_instances.hear(host, version, count, digest, uuids)

    @endpoint.exposed
    def list_replicas(self, context: Context) -> list[Values]:
        """Return the state of each node, as this conductor sees it."""
        return self._replicas()
