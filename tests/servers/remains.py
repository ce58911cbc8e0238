"""What the kernel keeps of a server that was killed, outside its folder.

PostgreSQL has a small segment of System V's shared memory. By it a second
server of the same folder notices the first one. A server under libfaketime
has two files in /dev/shm.
"""

import os
import pathlib
import subprocess

from tests.servers import base
from tests.support import scratch

# The file in the folder of a run that names the servers it started.
NOTES = 'servers'
FAKETIME = ('/dev/shm/faketime_shm_{}', '/dev/shm/sem.faketime_sem_{}')


def segments(pid):
    """Return the ids of the segments that a process made."""
    return [row['shmid'] for row in _table() if row['cpid'] == str(pid)]


def _table():
    names, *rows = pathlib.Path('/proc/sysvipc/shm').read_text().splitlines()
    return [dict(zip(names.split(), row.split(), strict=True))
            for row in rows]


def files(pid):
    """Return the paths of the files that libfaketime made for a process."""
    return [path for pattern in FAKETIME
            if os.path.exists(path := pattern.format(pid))]


def free(pid):
    """Remove what a process left that has ended.

    Another process may have its number now; what that one uses stays.

    :returns: a description of each
    """
    if os.path.exists(f'/proc/{pid}'):
        return []
    found_segments, found_files = segments(pid), files(pid)
    for segment in found_segments:
        subprocess.run([base.program('ipcrm'), '--shmem-id', segment],
                       check=True, capture_output=True)
    for path in found_files:
        os.unlink(path)
    return [*(f'segment {segment} of shared memory of process {pid}'
              for segment in found_segments), *found_files]


def note(pid):
    """Note that a server was started, for :func:`free_all`."""
    if scratch.FOLDER in os.environ:    # else there is no run of tests
        with (scratch.folder() / NOTES).open('a') as stream:
            stream.write(f'{pid}\n')


def free_all(folder):
    """Do :func:`free` for each server of the run that has this folder."""
    noted = folder / NOTES
    pids = noted.read_text().split() if noted.exists() else []
    return [line for pid in dict.fromkeys(pids) for line in free(pid)]
