"""Choose where the files of a test run are kept.

Databases sync each commit to the disk. On a disk that takes milliseconds;
tests commit a hundred thousand times, and prove nothing about a power cut.
"""

import os
import pathlib
import tempfile

MEMORY = pathlib.Path('/dev/shm')
# What all workers together need, with room to spare.
ENOUGH = 4 << 30


def choose():
    """Keep temporary files in memory, for this process and its children.

    TMPDIR overrides it. Without enough room there, or where programs may
    not be started from it, files stay on the disk.
    """
    if 'TMPDIR' not in os.environ and _suits(MEMORY):
        os.environ['TMPDIR'] = str(MEMORY)
        tempfile.tempdir = None     # it may have been asked for before


def _suits(folder):
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(folder)
    return (found.f_bavail * found.f_frsize >= ENOUGH and
            not found.f_flag & os.ST_NOEXEC)
