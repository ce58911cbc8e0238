"""Which versions of objects travel between two releases.

Within one major version objects only grow. A conductor that knows the newer
version removes what an older peer does not know. Without such a conductor the
older peer ignores it. A change of a field that would be lost is refused.
"""

import re
import typing

from oslo_versionedobjects import base as ovo

from computed import exception

NAMESPACE = 'computed_object'
NAME = f'{NAMESPACE}.name'
VERSION = f'{NAMESPACE}.version'
DATA = f'{NAMESPACE}.data'
CHANGES = f'{NAMESPACE}.changes'
_VERSION = re.compile(r'[0-9]{1,9}(\.[0-9]{1,9})+')


def parsed(version: str) -> tuple[int, int]:
    """Return ``(1, 10)`` for ``'1.10'``.

    :raises ValueError: it is not a version
    """
    if not _VERSION.fullmatch(version):
        raise ValueError(f'not a version: {version:.20}')
    major, minor = version.split('.')[:2]
    return int(major), int(minor)


def known(name: str) -> str | None:
    """Return this release's version of an object, or None if it has none."""
    classes = ovo.VersionedObjectRegistry.obj_classes().get(name)
    return classes[0].VERSION if classes else None


def common(name: str, theirs: str) -> str:
    """Return the newest version of an object that both ends know.

    :param theirs: the version of the peer
    :raises computed.exception.IncompatiblePeer: there is no common version
    """
    ours = known(name)
    try:
        if ours is not None and parsed(theirs)[0] == parsed(ours)[0]:
            return '{}.{}'.format(*min(parsed(theirs), parsed(ours)))
    except (TypeError, ValueError):
        pass
    raise exception.IncompatiblePeer(
        what=name, version=theirs, known=ours or 'none')


def agreed(manifest: dict[str, str]) -> dict[str, str]:
    """Return ``{object: version}`` with the versions that both ends know.

    :param manifest: ``{object: version}`` of the peer
    """
    return {name: common(name, version)
            for name, version in manifest.items() if known(name)}


def tree(name: str) -> dict[str, str]:
    """Return this release's versions of an object and of all objects in it."""
    return ovo.obj_tree_get_versions(name)


def is_object(value: object) -> bool:
    """Return whether a value is an object in its wire form."""
    return isinstance(value, dict) and NAME in value


def lowered(value: typing.Any) -> typing.Any:
    """Return a copy of an object without what this release does not know.

    :param value: the wire form of an object, or any part of it
    :raises computed.exception.IncompatiblePeer: there is no common version,
        or a changed field is not known here and would not be saved
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
