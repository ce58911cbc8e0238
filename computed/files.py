"""Files that are whole or absent, whatever happens while they are written.
"""

import contextlib
import json
import os


def write_json(path, value):
    """Replace the file at ``path`` by ``value`` as JSON, durably.

    :raises OSError: it could not be written; the old file is still there
    """
    temporary = f'{path}.tmp'
    try:
        with open(temporary, 'w', encoding='utf-8') as stream:
            json.dump(value, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(os.path.dirname(path))


def read_json(path):
    """The value in the file at ``path``; None if it is absent or torn."""
    try:
        with open(path, encoding='utf-8') as stream:
            return json.load(stream)
    except (FileNotFoundError, ValueError):
        return None


def remove(path):
    """Remove the file at ``path``, durably; an absent one is success."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        sync_folder(os.path.dirname(path))


def sync_folder(path):
    """Make the names in a folder durable."""
    descriptor = os.open(path or '.', os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
