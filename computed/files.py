"""Files that are either whole or absent, even after a crash during a write.
"""

import contextlib
import json
import os
import typing
from collections import abc

# Called with the name of a step and a path, before and after the step.
Hook = abc.Callable[[str, str], None]


def _no_hook(step: str, path: str) -> None:
    pass


_hook: Hook = _no_hook


def use_hook(hook: Hook | None) -> None:
    """Call ``hook`` around each step from now on; for tests.

    It is called with ``'before STEP'`` or ``'after STEP'`` and the path of
    the file. Steps are ``write``, ``fsync``, ``rename``, ``unlink`` and
    ``fsync folder``. A step that fails is not followed by ``after``.

    :param hook: None: call nothing
    """
    global _hook
    _hook = hook or _no_hook


@contextlib.contextmanager
def _step(name: str, path: str) -> abc.Iterator[None]:
    _hook(f'before {name}', path)
    yield
    _hook(f'after {name}', path)


def write_json(path: str, value: typing.Any) -> None:
    """Replace the file at ``path`` by ``value`` as JSON, durably.

    :raises OSError: it could not be written; the old file is still there
    """
    temporary = f'{path}.tmp'
    try:
        with open(temporary, 'w', encoding='utf-8') as stream:
            with _step('write', path):
                json.dump(value, stream)
                stream.flush()
            with _step('fsync', path):
                os.fsync(stream.fileno())
        with _step('rename', path):
            os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(os.path.dirname(path))


def read_json(path: str) -> typing.Any:
    """Return the value in the file at ``path``.

    :returns: None: the file is absent, or not whole
    """
    try:
        with open(path, encoding='utf-8') as stream:
            return json.load(stream)
    except (FileNotFoundError, ValueError):
        return None


def remove(path: str) -> None:
    """Remove the file at ``path``, durably; an absent one is a success."""
    with contextlib.suppress(FileNotFoundError):
        with _step('unlink', path):
            os.unlink(path)
        sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path or '.', os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _step('fsync folder', path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
