"""Objects and contexts on their way over RPC."""

import typing

import oslo_messaging as messaging
from oslo_log import log as logging
from oslo_versionedobjects import base as ovo
from oslo_versionedobjects import exception as ovo_exception

from computed import context as computed_context
from computed import exception
from computed.objects import base
from computed.objects import versions

LOG = logging.getLogger(__name__)

# Types whose values travel as they are. Most values have one of them.
PLAIN = frozenset([str, int, float, bool, type(None)])


class Serializer(messaging.Serializer):
    """Carries objects and the whole context over the wire.

    If an object is newer than this release, it reads only the fields that
    this release knows.
    """

    def serialize_entity(self, context: computed_context.RequestContext,
                         entity: typing.Any) -> typing.Any:
        """Return ``entity`` as JSON can express it."""
        if isinstance(entity, dict):
            return {key: member if type(member) in PLAIN else
                    self.serialize_entity(context, member)
                    for key, member in entity.items()}
        if isinstance(entity, list | tuple | set):
            return [member if type(member) in PLAIN else
                    self.serialize_entity(context, member)
                    for member in entity]
        if isinstance(entity, ovo.VersionedObject):
            return entity.obj_to_primitive()
        return entity

    def deserialize_entity(self, context: computed_context.RequestContext,
                           entity: typing.Any) -> typing.Any:
        """Return ``entity`` with its objects made again."""
        if versions.is_object(entity):
            try:
                return base.ComputedObject.obj_from_primitive(
                    entity, context)
            except (ovo_exception.IncompatibleObjectVersion,
                    ovo_exception.UnsupportedObjectError):
                return self._newer(context, entity)
        if isinstance(entity, list | tuple):
            return [member if type(member) in PLAIN else
                    self.deserialize_entity(context, member)
                    for member in entity]
        if isinstance(entity, dict):
            return {key: member if type(member) in PLAIN else
                    self.deserialize_entity(context, member)
                    for key, member in entity.items()}
        return entity

    def _newer(self, context: computed_context.RequestContext,
               primitive: typing.Any) -> typing.Any:
        return base.ComputedObject.obj_from_primitive(
            versions.lowered(primitive), context)

    def serialize_context(self, context: computed_context.RequestContext
                          ) -> dict[str, typing.Any]:
        """Return the whole context as a dict."""
        return context.to_dict()

    def deserialize_context(self, values: dict[str, typing.Any]
                            ) -> computed_context.RequestContext:
        """Return the context that a peer sent."""
        return computed_context.RequestContext.from_dict(values)


class BackportingSerializer(Serializer):
    """A :class:`Serializer` that asks a conductor to translate new objects.
    """

    def _newer(self, context: computed_context.RequestContext,
               primitive: typing.Any) -> typing.Any:
        conductor = base.conductor_of(context)
        if conductor is not None and versions.known(
                primitive[versions.NAME]):
            try:
                return conductor.object_backport_versions(
                    context, primitive,
                    versions.tree(primitive[versions.NAME]))
            except exception.ComputedError as error:
                LOG.info('No conductor translates %(name)s %(version)s. Only '
                         'the fields that this release knows are read: '
                         '%(error)s', {
                             'name': primitive[versions.NAME],
                             'version': primitive[versions.VERSION],
                             'error': error})
        return super()._newer(context, primitive)
