"""Calls to the kernel, and facts of /proc, that the shim needs.

No program of util-linux replaces the calls: none makes mounts read-only
recursively, and none leaves the shim outside the namespaces of its guest.
``os.unshare`` exists only from Python 3.12 on.
"""

import ctypes
import os
import subprocess

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

PR_SET_NAME = 15
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

# The same numbers on all architectures. The C library of Debian 12 has no
# functions for them.
SYS_OPEN_TREE = 428
SYS_MOVE_MOUNT = 429
SYS_MOUNT_SETATTR = 442

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2

# No record of a shim is longer. A file of this size has a block of its own.
RECORD_BYTES = 1024

_LIBRARY = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int | bytes | ctypes.Array | None) -> int:
    """Call a function of the C library.

    :raises OSError: it failed
    """
    result = getattr(_LIBRARY, name)(*(
        ctypes.c_long(one) if isinstance(one, int) else one
        for one in arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)
    return result


def host_pid() -> int:
    """Return our pid as the daemon sees it.

    In a process namespace of its own, a process has another pid. /proc here
    is still that of the host.
    """
    return int(os.readlink('/proc/self'))


def stat_fields(pid: int) -> list[str]:
    """Return ``/proc/PID/stat`` from its third field on."""
    with open(f'/proc/{pid}/stat', encoding='utf-8',
              errors='replace') as file:
        return file.read().rpartition(')')[2].split()


def start_time(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot."""
    return int(stat_fields(pid)[19])


def boot_id() -> str:
    """Return the id of the current boot."""
    with open('/proc/sys/kernel/random/boot_id') as file:
        return file.read().strip()


def overwrite(path: str, data: bytes, create: bool = False,
              durable: bool = False) -> None:
    """Put the data, and blanks behind it, in the place of what a file has.

    The file keeps its room, so this works on a full disk if the file is there.

    :param create: whether it may be missing
    :param durable: whether it survives a power cut
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                         | (os.O_CREAT if create else 0), 0o600)
    try:
        data = data.ljust(max(os.fstat(descriptor).st_size, RECORD_BYTES))
        done = 0
        while done < len(data):
            done += os.pwrite(descriptor, data[done:], done)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: str) -> None:
    """Put ``PATH.tmp`` in the place of ``path``; keep the old one as that."""
    try:
        call('renameat2', _AT_FDCWD, f'{path}.tmp'.encode(), _AT_FDCWD,
             path.encode(), _RENAME_EXCHANGE)
    except OSError:     # there is no old one, or no such call
        os.rename(f'{path}.tmp', path)


def run_all(commands: list[list[str]], **values: str) -> None:
    """Run commands in order; ``{name}`` in a word stands for a value.

    :raises OSError: one of them failed
    """
    for command in commands:
        argv = [word.format(**values) for word in command]
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False,
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)
        if result.returncode:
            text = result.stderr.decode(errors='replace')
            raise OSError(f'{" ".join(argv)}: {text}')


def one_line(error: BaseException) -> str:
    """Return the text of an error as one line."""
    text = getattr(error, 'strerror', None) or str(error) or repr(error)
    if where := getattr(error, 'filename', None):
        text = f'{text} ({where})'
    return ' '.join(text.split())
