"""Two releases at once: what a peer knows, and how it is met.

Within one major version objects only grow. What a newer peer has added is
taken away by a conductor that knows it, or else left unread; a change that
would be lost that way is refused.
"""

from oslo_versionedobjects import base as ovo

from computed import exception

NAMESPACE = 'computed_object'
NAME = f'{NAMESPACE}.name'
VERSION = f'{NAMESPACE}.version'
DATA = f'{NAMESPACE}.data'
CHANGES = f'{NAMESPACE}.changes'


def parsed(version):
    """``'1.10'`` as ``(1, 10)``.

    :raises ValueError: it is no version
    """
    major, minor = version.split('.')[:2]
    return int(major), int(minor)


def known(name):
    """The version of an object here; None if there is none of that name."""
    classes = ovo.VersionedObjectRegistry.obj_classes().get(name)
    return classes[0].VERSION if classes else None


def common(name, theirs):
    """The newest version of an object that both ends know.

    :param theirs: the one of the peer
    :raises computed.exception.IncompatiblePeer: there is none
    """
    ours = known(name)
    try:
        if parsed(theirs)[0] == parsed(ours)[0]:
            return min(theirs, ours, key=parsed)
    except (AttributeError, ValueError):
        pass
    raise exception.IncompatiblePeer(
        what=name, version=theirs, known=ours or 'none')


def agreed(manifest):
    """``{object: version}`` of a peer, as far as both ends know it."""
    return {name: common(name, version)
            for name, version in manifest.items() if known(name)}


def tree(primitive):
    """The versions that this end knows of an object and all in it."""
    return ovo.obj_tree_get_versions(primitive[NAME])


def is_object(value):
    return isinstance(value, dict) and NAME in value


def lowered(value):
    """A copy of an object and all in it, as old as this end knows them.

    :raises computed.exception.IncompatiblePeer: the versions have nothing
        in common, or a field that is not known here was changed and should
        be saved
    """
    if isinstance(value, list | tuple):
        return [lowered(member) for member in value]
    if not is_object(value):
        return value
    name = value[NAME]
    version = common(name, value[VERSION])
    fields = ovo.VersionedObjectRegistry.obj_classes()[name][0].fields
    if lost := set(value.get(CHANGES, ())) - set(fields):
        raise exception.IncompatiblePeer(
            what=f'{name}.{min(lost)}', version=value[VERSION],
            known=known(name))
    return {**value, VERSION: version,
            DATA: {key: lowered(member)
                   for key, member in value[DATA].items() if key in fields}}
