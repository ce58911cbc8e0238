"""The names of files."""

import os
import re
import typing

_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


def is_uuid(text: object) -> typing.TypeGuard[str]:
    """Return whether ``text`` is a uuid in its usual form."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def below(folder: str | os.PathLike[str], name: str) -> str:
    """Return the path of a file or folder that is directly in ``folder``.

    :raises ValueError: the name could lead out of ``folder``
    """
    if name in ('', '.', '..') or '/' in name or '\0' in name:
        raise ValueError(f'{name!r} cannot be the name of a file')
    return os.path.join(folder, name)


def by_uuid(folder: str | os.PathLike[str], uuid: str,
            suffix: str = '') -> str:
    """Return the path in ``folder`` whose name is ``uuid``.

    Every uuid that comes from a peer or from the database becomes a path
    here.

    :param suffix: what follows the uuid in the name, such as ``.json``
    :raises ValueError: it is not a uuid in its usual form
    """
    if not is_uuid(uuid):
        raise ValueError(f'{uuid!r} is not a uuid')
    return below(folder, uuid + suffix)
