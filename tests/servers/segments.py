"""System V's shared memory of PostgreSQL, which outlives a killed server.

A server has one small segment. By it a second server of the same folder
notices the first one.
"""

import pathlib
import subprocess

from tests.servers import base


def of(pid_file):
    """The id of the segment of the server that wrote ``pid_file``, or None.
    """
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    named = lines[6].split() if len(lines) > 6 else None
    table = pathlib.Path('/proc/sysvipc/shm').read_text().splitlines()
    return named[1] if named in [line.split()[:2] for line in table] else None


def free(segment):
    """Remove a segment, unless it is None."""
    if segment is not None:
        subprocess.run([base.program('ipcrm'), '--shmem-id', segment],
                       check=True, capture_output=True)
