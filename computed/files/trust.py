"""Whom files belong to: no other user can put one in the place of ours."""

import contextlib
import errno
import grp
import os
import pwd
import stat
from collections import abc

# As many links as the kernel follows in one path.
_MAX_LINKS = 40
# The highest number of a user or a group that is no person's (login.defs(5)).
_LAST_SERVICE = 999


class Untrusted(PermissionError):
    """Another user could replace a file. ``strerror`` says how."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(errno.EPERM, f'{path} {reason}', path)


def make_private(path: str | os.PathLike[str]) -> None:
    """Make a folder for this user alone, with the folders above it.

    One that exists is checked by :func:`ensure_trusted`; it must not be
    writable by others, not even if it is sticky.

    :raises Untrusted: another user could replace what is in it
    :raises OSError: it cannot be made
    """
    path = os.path.abspath(path)
    ensure_trusted(path)
    os.makedirs(path, mode=0o700, exist_ok=True)
    # Others cannot replace it, but they could add names to it.
    if _is_open(status := os.stat(path)) or not _is_ours(status):
        raise Untrusted(path, 'is writable by other users')


def ensure_trusted(path: str | os.PathLike[str],
                   system_groups: bool = False) -> None:
    """Refuse a path in which another user could replace a folder or a link.

    Each part of it must belong to root or to this user, and be writable by
    nobody else. A sticky folder such as ``/tmp`` may lead to it. What does not
    exist is not checked.

    :param system_groups: a folder of root may also be writable by a group of
        services, as ``/var/log`` is by ``syslog`` on some systems
    :raises Untrusted: another user could replace a part
    :raises OSError: a part cannot be looked at
    """
    for here, status in _parts(path):
        if not (system_groups and _is_open(status) and
                _is_of_services(status)):
            _ensure_ours(here, status)


def is_of(path: str | os.PathLike[str], user: int) -> bool:
    """Return whether only root and ``user`` could put ``path`` there.

    Nor can anybody else write in it.

    :param user: a user id
    """
    in_open_folder = False
    try:
        for _, status in _parts(path):
            # Everybody makes folders in /tmp; what root made is trusted.
            if status.st_uid not in ((0,) if in_open_folder else (0, user)):
                return False
            in_open_folder = _is_open(status) and (
                not stat.S_ISLNK(status.st_mode))
            if in_open_folder and not status.st_mode & stat.S_ISVTX:
                return False
    except OSError:
        return False
    return not in_open_folder


def _parts(path: str | os.PathLike[str]
           ) -> abc.Iterator[tuple[str, os.stat_result]]:
    """Yield each folder and each link that leads to ``path``, and itself.

    It ends at what does not exist.

    :raises OSError: a part cannot be looked at
    """
    rest = os.path.abspath(path).split('/')[:0:-1]
    here, links = '/', 0
    yield here, os.lstat(here)
    while rest:
        name = rest.pop()
        if name in ('', '.'):
            continue
        here = os.path.dirname(here) if name == '..' else (
            os.path.join(here, name))
        try:
            status = os.lstat(here)
        except FileNotFoundError:
            return
        yield here, status
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), here)
            target = os.readlink(here)
            rest += reversed(target.split('/'))
            here = '/' if target.startswith('/') else os.path.dirname(here)


def ensure_private(path: str | os.PathLike[str]) -> None:
    """Refuse a file that another user could write or replace.

    Nor may others add a file to its folder, not even if it is sticky: the
    programs that use the file may use files of other names beside it.

    :raises Untrusted: another user could
    :raises OSError: a part of the path cannot be looked at
    """
    ensure_trusted(path)
    folder = os.path.dirname(os.path.realpath(path))
    with contextlib.suppress(FileNotFoundError):
        if _is_open(os.stat(folder)):
            raise Untrusted(folder, 'is writable by other users')


def make_log(path: str | os.PathLike[str]) -> None:
    """Make a log file for this user alone, unless there is one.

    It may be a device or an open descriptor, such as ``/dev/stderr``.

    :raises Untrusted: another user could write or replace it
    :raises OSError: it cannot be made
    """
    real = os.path.realpath(path)
    if os.path.exists(path) and not os.path.exists(real):
        return      # a descriptor that has no path
    if os.path.exists(real) and stat.S_ISCHR(os.stat(real).st_mode):
        ensure_trusted(os.path.dirname(real), system_groups=True)
        return
    ensure_trusted(path, system_groups=True)
    os.close(open_private(real, os.O_WRONLY | os.O_APPEND | os.O_CREAT))


def open_private(path: str | os.PathLike[str],
                 flags: int = os.O_RDONLY) -> int:
    """Open a file below the state path; return its descriptor.

    A new file is for this user alone. To make one, pass ``O_EXCL`` too,
    unless it may exist.

    :raises Untrusted: the file belongs to another user, or is no plain file
    :raises OSError: it cannot be opened, or it is a link
    """
    # O_NONBLOCK: do not wait for the writer of a pipe.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC
                         | os.O_NONBLOCK, 0o600)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Untrusted(os.fspath(path), 'is not a plain file')
        _ensure_ours(os.fspath(path), status)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid())


def _is_open(status: os.stat_result) -> bool:
    """Return whether others may write, by the mode of a file or folder."""
    return bool(status.st_mode & stat.S_IWOTH or
                status.st_mode & stat.S_IWGRP and not _is_private_group(
                    status.st_uid, status.st_gid))


def _is_of_services(status: os.stat_result) -> bool:
    """Return whether it is a folder of root and of a group of services.

    Such a group has a low number, and no person is a member.
    """
    if status.st_uid or not stat.S_ISDIR(status.st_mode) or (
            status.st_mode & stat.S_IWOTH or
            status.st_gid > _LAST_SERVICE):
        return False
    try:
        # By name: not every directory of users lists them all.
        members = [pwd.getpwnam(name) for name
                   in grp.getgrgid(status.st_gid).gr_mem]
    except KeyError:
        return False
    members += [user for user in pwd.getpwall()
                if user.pw_gid == status.st_gid]
    return all(user.pw_uid <= _LAST_SERVICE for user in members)


def _is_private_group(uid: int, gid: int) -> bool:
    """Return whether a group has no member but root or the user ``uid``.

    Many systems give each user such a group, and let it write.
    """
    if gid == 0:
        return True
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(uid)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and (
        set(group.gr_mem) <= {user.pw_name})


def _ensure_ours(path: str, status: os.stat_result) -> None:
    if not _is_ours(status):
        raise Untrusted(path, f'belongs to user {status.st_uid}, who could '
                              'replace what is there')
    # The mode of a link says nothing.
    if _is_open(status) and not (stat.S_ISLNK(status.st_mode) or
                                 status.st_mode & stat.S_ISVTX):
        raise Untrusted(path, 'is writable by other users')
