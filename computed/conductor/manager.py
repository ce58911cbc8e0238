"""The conductor: runs object methods for hosts that may not touch the SQL.

Every reply says where its data came from and what the request has written,
so that the next call, through any conductor, can ask for no less.
"""

import contextlib
import dataclasses

import oslo_messaging as messaging

from computed import exception
from computed.objects import base
from computed.objects import versions
from computed.rpc import endpoint

# 1.0: objects' methods, replicas
# 1.1: object_backport_versions
TARGET = messaging.Target(topic='conductor', version='1.1')


def remote_method(owner, name):
    """The method of ``owner`` that peers may call by ``name``.

    :raises computed.exception.NotRemotable: it is not meant for them
    """
    method = getattr(owner, name, None)
    if not getattr(method, 'remotable', False):
        raise exception.NotRemotable(method=name)
    return method


def reply(context, **values):
    """``values``, with where they came from and what was written."""
    origin = context.reads.last
    return {**values,
            'origin': origin and dataclasses.asdict(origin),
            'tokens': context.tokens.to_dict()}


@contextlib.contextmanager
def attach_origin(context):
    """An error that is the answer of a node too old says so, too."""
    try:
        yield
    except exception.ComputedError as error:
        if context.reads.beyond_bound:
            error.kwargs['origin'] = dataclasses.asdict(context.reads.oldest)
        raise


def as_known(result, theirs):
    """``result`` as a primitive that a peer understands.

    :param theirs: ``{name: version}`` of the objects that it knows
    """
    manifest = versions.agreed(theirs)
    return result.obj_to_primitive(
        target_version=versions.common(
            result.obj_name(), theirs.get(result.obj_name(), '1.0')),
        version_manifest=manifest)


class ConductorManager:
    """The endpoint of ``computed-conductor``."""

    target = TARGET

    def __init__(self, replicas):
        """``replicas()`` lists the state of each database node."""
        self._replicas = replicas

    @endpoint.exposed
    def object_class_action_versions(self, context, objname, objmethod,
                                     object_versions, args, kwargs):
        """Run a class method of an object; the peer's versions are kept."""
        if objname not in object_versions:
            raise exception.NotRemotable(method=f'{objname}.{objmethod}')
        cls = base.ComputedObject.obj_class_from_name(
            objname, versions.common(objname, object_versions[objname]))
        with attach_origin(context):
            result = remote_method(cls, objmethod)(context, *args, **kwargs)
        if isinstance(result, base.ComputedObject):
            result = as_known(result, object_versions)
        return reply(context, result=result)

    @endpoint.exposed
    def object_backport_versions(self, context, objinst, object_versions):
        """An object that a peer does not understand, as old as it needs.

        :param object_versions: ``{name: version}`` that the peer knows
        """
        return as_known(objinst, object_versions)

    @endpoint.exposed
    def object_action(self, context, objinst, objmethod, args, kwargs):
        """Run a method of an object; returns the fields it changed."""
        method = remote_method(objinst, objmethod)
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
    def list_replicas(self, context):
        """The state of each database node, as this conductor sees it."""
        return self._replicas()
