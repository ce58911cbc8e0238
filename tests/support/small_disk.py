"""A small file system that a test fills: a tmpfs nobody else sees."""

import contextlib
import errno
import os
import subprocess
import sys

import pytest

from computed.virt.process.shim import system
from tests.support import prefork
from tests.support import process_guests

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason='only root may mount')


def on_a_small_disk(folder, megabytes, job):
    """Return what ``job()`` returns in a process with a small ``folder``.

    The process has a mount namespace of its own, so nothing stays mounted.
    """
    def mount():
        system.call('unshare', system.CLONE_NEWNS)
        subprocess.run(['mount', '--make-rprivate', '/'], check=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o',
                        f'size={megabytes}m,mode=700', 'tmpfs', folder],
                       check=True)
        # Programs are forked from a process of this namespace.
        prefork._template.cache_clear()
    return process_guests.in_a_fork(mount, job, sys.executable)


def remount(folder, option):
    """Make it read-only, ``ro``, or writable again, ``rw``."""
    subprocess.run(['mount', '-o', f'remount,{option}', folder], check=True)


def fill(folder):
    """Leave not one byte free; return the file that has it all."""
    path = os.path.join(folder, 'filler')
    with open(path, 'ab', buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(size))
    assert_full(folder)
    return path


def assert_full(folder):
    """Check that no file can get a block there."""
    path = os.path.join(folder, 'probe')
    try:
        with open(path, 'wb', buffering=0) as stream:
            stream.write(b'x')
    except OSError as error:
        assert error.errno == errno.ENOSPC
    else:
        raise AssertionError(f'{folder} has room')
    finally:
        os.unlink(path)
