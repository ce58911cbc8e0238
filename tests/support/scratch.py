"""Choose where the files of a test run are kept: in one folder of its own.

Databases sync each commit to the disk. On a disk that takes milliseconds;
tests commit a hundred thousand times, and prove nothing about a power cut.
"""

import fcntl
import os
import pathlib
import shutil
import stat
import tempfile

MEMORY = pathlib.Path('/dev/shm')
# What all workers together need, with room to spare.
ENOUGH = 4 << 30
# Short, for the path of a socket may have 107 bytes.
PREFIX = 'computed-t-'
# The folder, for processes that this one starts.
FOLDER = 'COMPUTED_TESTS_FOLDER'
# How many folders of runs that failed are kept.
KEPT = 2
# Where libraries keep what they may forget.
CACHE = 'cache'

# Open while this process lives, for they hold the lock of its folder.
_locks: list[int] = []


def choose():
    """Keep temporary files in one folder, for this process and its children.

    It is in memory, unless TMPDIR overrides that. Without enough room there,
    or where programs may not be started from it, it is on the disk. A run of
    pytest that another one started uses the folder of that one.

    :returns: whether this process made the folder, and so shall remove it
    """
    if os.path.isdir(os.environ.get(FOLDER, '')):
        return False
    parent = pathlib.Path(tempfile.gettempdir())
    if 'TMPDIR' not in os.environ and _suits(MEMORY):
        parent = MEMORY
    made = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    # Servers and guests do not run as this user.
    os.chmod(made, 0o1777)
    _lock(made)
    os.environ[FOLDER] = os.environ['TMPDIR'] = made
    # stevedore keeps there what is installed
    os.environ['XDG_CACHE_HOME'] = os.path.join(made, CACHE)
    tempfile.tempdir = None     # it may have been asked for before
    return True


def folder():
    """Return the folder of the run of the tests.

    :raises KeyError: this process belongs to none, as those of benchmarks
    """
    return pathlib.Path(os.environ[FOLDER])


def for_pytest():
    """Return where this run of pytest shall keep the files of its tests."""
    made = folder() / 'p'
    return tempfile.mkdtemp(prefix='p-', dir=folder()) if made.exists() else (
        made)


def remove():
    """Remove the folder with everything in it."""
    shutil.rmtree(folder())


def _suits(parent):
    if not os.access(parent, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(parent)
    return (found.f_bavail * found.f_frsize >= ENOUGH and
            not found.f_flag & os.ST_NOEXEC)


def ended():
    """Return the folders of runs that failed or were killed, oldest first."""
    found = {path: path.lstat() for path in folder().parent.glob(f'{PREFIX}*')}
    ours = [path for path, facts in found.items()
            if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
            and not _is_locked(path)]
    return sorted(ours, key=lambda path: found[path].st_mtime)


def remove_ended():
    """Remove those of :func:`ended` except the last ones."""
    for path in ended()[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def _lock(path):
    _locks.append(os.open(path, os.O_RDONLY))
    fcntl.flock(_locks[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_locked(path):
    """Return whether the run of a folder goes on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
