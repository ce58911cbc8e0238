"""Show the volumes of a guest in its mount namespace: one mount for each.

A volume is a dictionary with its ``volume_id``, its ``path`` on the host and
its ``identity``: what is at this path when the guest gets it must still be
what the daemon has looked at.
"""

import contextlib
import ctypes
import errno
import json
import os
import stat
import struct
import sys

from . import system

# Below the folder of the guest. In its namespace a file system of its own
# is there, in which only the daemon can write.
FOLDER = 'volumes'

_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_ATTR_NOSUID, _ATTR_NODEV = 2, 4


def identity(found: os.stat_result) -> list[int]:
    """Return what tells a file or a device from all others of this host."""
    if stat.S_ISBLK(found.st_mode):
        return [stat.S_IFBLK, found.st_rdev, 0]
    return [stat.S_IFMT(found.st_mode), found.st_dev, found.st_ino]


def cloned(volume: dict) -> int:
    """Return a descriptor of a mount that has only this volume.

    :raises OSError: there is something else now, or nothing
    """
    path = volume['path']
    try:
        tree = system.call('syscall', system.SYS_OPEN_TREE, _AT_FDCWD,
                           path.encode(), _OPEN_TREE_CLONE
                           | _OPEN_TREE_CLOEXEC | _AT_SYMLINK_NOFOLLOW)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    if identity(os.fstat(tree)) != volume['identity']:
        os.close(tree)
        raise OSError(errno.ESTALE, 'another thing is in the place of volume '
                      f'{volume["volume_id"]} now', path)
    is_device = volume['identity'][0] == stat.S_IFBLK
    value = ctypes.create_string_buffer(struct.pack(
        'QQQQ', _ATTR_NOSUID | (0 if is_device else _ATTR_NODEV), 0, 0, 0),
        32)
    system.call('syscall', system.SYS_MOUNT_SETATTR, tree, b'',
                _AT_EMPTY_PATH, value, 32)
    return tree


def show(folder: str, volume: dict, tree: int) -> None:
    """Mount a volume at its place, in the namespace that we are in.

    :param tree: as :func:`cloned` returns it; it is closed
    """
    target = place(folder, volume)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
                     | os.O_CLOEXEC, 0o600))
    system.call('syscall', system.SYS_MOVE_MOUNT, tree, b'', _AT_FDCWD,
                target.encode(), _MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)


def hide(folder: str, volume: dict) -> None:
    """Take a volume from its place; if it is not there, do nothing.

    :raises OSError: it is in use
    """
    target = place(folder, volume)
    try:
        system.call('umount2', target.encode(), 0)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):
            raise OSError(error.errno, error.strerror, target) from None
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)


def place(folder: str, volume: dict) -> str:
    """Return where a guest sees a volume."""
    return f'{folder}/{FOLDER}/{volume["volume_id"]}'


def main() -> None:
    """Do the request of standard input in the namespace of a guest.

    The exit code is 0, or there is one line on standard error.
    """
    request = json.load(sys.stdin)
    folder, volume = request['folder'], request['volume']
    try:
        tree = cloned(volume) if request['shown'] else -1
        system.call('setns', request['pidfd'], system.CLONE_NEWNS)
        if not request['shown']:
            hide(folder, volume)
        elif not _is_shown(folder, volume):
            show(folder, volume, tree)
    except OSError as error:
        print(system.one_line(error), file=sys.stderr)
        sys.exit(1)


def _is_shown(folder: str, volume: dict) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return identity(os.lstat(place(folder, volume))) == (
            volume['identity'])
    return False
