"""What is in a file: it is written whole, and read back as what it is."""

import contextlib
import errno
import json
import os
import typing
from collections import abc

from computed.files import reserve as reserve_module
from computed.files import steps
from computed.files import trust
from computed.files.names import below

# The errors of a write that needs room.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
TEMPORARY = '.json.tmp'
ASIDE = '.damaged'
# Bytes of the largest file; no file of ours comes near it.
_LARGEST = 64 << 20
_UNEXPECTED = 'it has not what such a file has'


class Damaged(ValueError):
    """A file is there, and is not what was written to it.

    It is not absent: what it said is unknown. Who reads it must not write
    another one in its place, and must say what is to be done.

    :ivar reason: what is wrong with it, for people
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f'{os.fspath(path)} is damaged: {reason}')
        self.path = os.fspath(path)
        self.reason = reason


def write_json(path: str, value: typing.Any, durable: bool = True,
               reserve: reserve_module.Reserve | None = None) -> None:
    """Replace the file at ``path`` by ``value`` as JSON, durably.

    :param durable: False: it survives this process at once, but a power cut
        only some seconds later; until then the file may be old or not whole
    :param reserve: where to get room if the disk is full; None: nowhere
    :raises OSError: it could not be written; the old file is still there
    """
    data = json.dumps(value).encode()
    try:
        _write(path, data, durable)
    except OSError as error:
        if reserve is None or error.errno not in NO_ROOM:
            raise
        reserve.write(path, data, durable)
    else:
        if reserve is not None:
            reserve_module.refilled(reserve)
    if durable:
        steps.sync_folder(os.path.dirname(path))


def _write(path: str, data: bytes, durable: bool) -> None:
    temporary = f'{path}.tmp'
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)    # a crash has left it
        with open(trust.open_private(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL),
                'wb', buffering=0) as stream:
            with steps.step('write', path):
                _write_all(stream, data)
            if durable:
                with steps.step('fsync', path):
                    os.fsync(stream.fileno())
        with steps.step('rename', path):
            os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _write_all(stream: typing.Any, data: bytes) -> None:
    while data:
        data = data[stream.write(data):]


def read_json(path: str) -> typing.Any:
    """Return the value in the file at ``path``, which is never None.

    :returns: None: the file is absent
    :raises Damaged: it is not JSON, or has nothing
    :raises OSError: it cannot be read, or it is a link or belongs to another
        user
    """
    try:
        descriptor = trust.open_private(path)
    except FileNotFoundError:
        return None
    with open(descriptor, 'rb') as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise Damaged(path, f'it has more than {_LARGEST >> 20} MiB')
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damaged(path, 'it is empty' if not data.strip(b'\0 \n') else
                      'it is not JSON, or only a part of it') from error
    if value is None:
        raise Damaged(path, _UNEXPECTED)
    return value


@contextlib.contextmanager
def understood(path: str | os.PathLike[str]) -> abc.Iterator[None]:
    """Take a value that the body cannot use for damage of its file.

    :raises Damaged: the body raised an error of a missing key or a wrong type
    """
    try:
        yield
    except Damaged:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Damaged(path, _UNEXPECTED) from error


def explained(error: Damaged | OSError) -> str:
    """Return why a file cannot be used, as text that names it."""
    if isinstance(error, OSError) and not isinstance(error, trust.Untrusted):
        return f'{error.filename} cannot be used: {error.strerror}'
    return str(getattr(error, 'strerror', None) or error)


def set_aside(path: str) -> str:
    """Give a damaged file another name, so that its contents are kept.

    :returns: the name: with ``.damaged`` behind it, or a number more
    :raises OSError: it cannot be renamed
    """
    aside, number = path + ASIDE, 2
    while os.path.lexists(aside):
        aside, number = f'{path}{ASIDE}-{number}', number + 1
    os.rename(path, aside)
    return aside


def remove(path: str, durable: bool = True,
           reserve: reserve_module.Reserve | None = None) -> None:
    """Remove the file at ``path``, durably; an absent one is a success.

    :param durable: as for :func:`write_json`
    :param reserve: what gets the room, if it lacks some
    """
    with contextlib.suppress(FileNotFoundError):
        with steps.step('unlink', path):
            if reserve is None or not reserve.keep(path):
                os.unlink(path)
        if durable:
            steps.sync_folder(os.path.dirname(path))


def clear_temporaries(folder: str) -> None:
    """Remove what writes left that ended with their process.

    Nobody else may write to the folder meanwhile.

    :raises OSError: something cannot be removed
    """
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            if entry.name.endswith(TEMPORARY):
                os.unlink(below(folder, entry.name))
