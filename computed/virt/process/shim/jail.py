"""Shut a guest in: what its main process does before its command."""

import contextlib
import ctypes
import os
import resource
import struct

from . import system
from . import volumes as volume_mounts

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = 32, 4096, 16384, 1 << 19
_MS_RDONLY = 1
_AT_FDCWD, _AT_RECURSIVE, _AT_EMPTY_PATH = -100, 0x8000, 0x1000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_CAPABILITY_VERSION_3 = 0x20080522
# More than any kernel has.
_CAPABILITIES = 64

# Where any program may write: a guest gets empty ones of its own.
TEMPORARY = ('/tmp', '/var/tmp', '/dev/shm')


def in_user_namespace() -> bool:
    """Return whether this user namespace is not the first one."""
    with open('/proc/self/uid_map', encoding='ascii') as file:
        return file.read().split() != ['0', '0', '4294967295']


def enter_user_namespace() -> None:
    """Enter a new user namespace, in which we keep our user id.

    :raises OSError: the kernel refuses
    """
    uid, gid = os.geteuid(), os.getegid()
    system.call('unshare', system.CLONE_NEWUSER)
    for name, text in (('setgroups', 'deny'),
                       ('uid_map', f'{uid} {uid} 1'),
                       ('gid_map', f'{gid} {gid} 1')):
        with open(f'/proc/self/{name}', 'w') as file:
            file.write(text)


def enter_process_namespace(isolation: dict) -> None:
    """Let our next child be the first process of a process namespace.

    If this process ends, the kernel ends all others of the namespace. They
    cannot see or signal a process outside.
    """
    if isolation['user_namespace']:
        enter_user_namespace()
    if isolation['process_namespace']:
        system.call('unshare', system.CLONE_NEWPID)


def enter(request: dict) -> None:
    """Give up what the guest must not have. There is no way back.

    :raises OSError: the kernel refuses something that a trial allowed
    """
    isolation = request['isolation']
    os.umask(0o022)     # the usual one, whatever the daemon has
    groups = [os.open(f'{path}/cgroup.procs', os.O_WRONLY)
              for path in request['cgroups']]
    if isolation['ipc_namespace']:
        system.call('unshare', system.CLONE_NEWIPC)
    if isolation['mount_namespace']:
        enter_mounts(request['folder'], request['hidden'],
                     request['memory_bytes'], isolation['own_proc'],
                     request['volumes'])
    # Without a mount namespace, the path to it is closed to the guest.
    os.chdir(f'{request["folder"]}/disk')
    for descriptor in groups:
        os.write(descriptor, b'0')
    if isolation['unprivileged']:
        give_up_privileges(isolation['uid'])
    _limit(request)


def enter_mounts(folder: str, hidden: list[str], temporary_bytes: int,
                 own_proc: bool, volumes: list[dict]) -> None:
    """Enter a mount namespace in which the guest can write what is its own.

    That is its disk, temporary files, and its volumes.

    :param hidden: files and folders to cover
    :param temporary_bytes: size of each folder for temporary files; 0: the
        default of the kernel, half of the memory
    :param own_proc: show only the processes of this process namespace
    :param volumes: see :mod:`shim.volumes`
    """
    system.call('unshare', system.CLONE_NEWNS)
    _mount(None, '/', None, _MS_REC | _MS_SLAVE)
    disk = system.call('syscall', system.SYS_OPEN_TREE, _AT_FDCWD,
                       f'{folder}/disk'.encode(),
                       _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC)
    _set_attributes(disk, b'', _AT_EMPTY_PATH, _ATTR_NOSUID | _ATTR_NODEV)
    trees = [(volume, volume_mounts.cloned(volume)) for volume in volumes]
    _set_attributes(_AT_FDCWD, b'/', _AT_RECURSIVE, _ATTR_RDONLY)
    if own_proc:
        _mount('proc', '/proc', 'proc', _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    size = f',size={temporary_bytes}' if temporary_bytes else ''
    for path in TEMPORARY:
        if os.path.isdir(path):
            _tmpfs(path, f'mode=1777{size}')
    covers = [path for path in hidden if os.path.isdir(path)]
    for path in hidden:
        if path in covers:
            _tmpfs(path, 'mode=755,size=1m')
        elif os.path.exists(path):
            _mount('/dev/null', path, None, _MS_BIND)
    os.makedirs(f'{folder}/disk', mode=0o755, exist_ok=True)
    system.call('syscall', system.SYS_MOVE_MOUNT, disk, b'', _AT_FDCWD,
                f'{folder}/disk'.encode(), _MOVE_MOUNT_F_EMPTY_PATH)
    os.close(disk)
    # A volume that is attached later gets a place here, too.
    os.makedirs(f'{folder}/{volume_mounts.FOLDER}', mode=0o755, exist_ok=True)
    _tmpfs(f'{folder}/{volume_mounts.FOLDER}', 'mode=755,size=64k')
    for volume, tree in trees:
        volume_mounts.show(folder, volume, tree)
    for path in covers:
        _mount(None, path, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY
               | _MS_NOSUID | _MS_NODEV)


def give_up_privileges(uid: int | None) -> None:
    """Become a user without any capability, for ever.

    :param uid: the user and group to become; None: stay who we are
    """
    system.call('prctl', system.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with contextlib.suppress(OSError):      # the kernel knows no more, or
        for capability in range(_CAPABILITIES):     # we have none to drop
            system.call('prctl', system.PR_CAPBSET_DROP, capability, 0, 0, 0)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    system.call('prctl', system.PR_CAP_AMBIENT,
                system.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    system.call('capset', struct.pack('Ii', _CAPABILITY_VERSION_3, 0),
                bytes(24))


def _limit(request: dict) -> None:
    if request['cpus']:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, request['cpus'])
    limits = ((resource.RLIMIT_AS, request['memory_bytes']),
              (resource.RLIMIT_NPROC, request['processes']))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (
            request['open_files'],
            resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for which, value in limits:
        if value:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(which, (value, value))


def _mount(source: str | None, target: str, kind: str | None, flags: int,
           options: str | None = None) -> None:
    try:
        system.call('mount', *(one.encode() if one is not None else None
                               for one in (source, target, kind)), flags,
                    options.encode() if options is not None else None)
    except OSError as error:
        raise OSError(error.errno, error.strerror,
                      f'mount {kind or source or ""} {target}') from None


def _tmpfs(path: str, options: str) -> None:
    _mount('tmpfs', path, 'tmpfs', _MS_NOSUID | _MS_NODEV, options)


def _set_attributes(descriptor: int, path: bytes, flags: int,
                    attributes: int) -> None:
    value = ctypes.create_string_buffer(
        struct.pack('QQQQ', attributes, 0, 0, 0), 32)
    system.call('syscall', system.SYS_MOUNT_SETATTR, descriptor, path, flags,
                value, 32)
