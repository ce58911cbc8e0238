"""Look at the end of a test run for what it left, and remove that.

Everything of a run names the folder of the run: the environment of each
process, the working folder of each server, each file.
"""

import contextlib
import os
import pathlib
import re

import psutil

from tests.servers import remains
from tests.support import scratch
from tests.support import waiting

# pytest's own folders, and what the run notes itself
EXPECTED = re.compile(f'p|p-.*|{remains.NOTES}|{scratch.CACHE}')


def find_and_remove():
    """Remove what the run left.

    Its processes are ended. A mount is only told.

    :returns: a description of each
    """
    with contextlib.suppress(AssertionError):
        # What was told to end may need a moment.
        waiting.wait_for(lambda: not processes(), 2)
    left = processes()
    told = [f'process {one.pid}: {_described(one)}' for one in left]
    for one in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(left, 10 * waiting.PATIENCE)
    return [*told, *remains.free_all(scratch.folder()), *mounts(), *files()]


def remove_of_killed_runs():
    """Remove what runs left that were killed before they could do it."""
    for folder in scratch.ended():
        remains.free_all(folder)
    scratch.remove_ended()


def processes():
    """Return the processes of the run that are alive, except this one."""
    return [one for one in psutil.process_iter()
            if one.pid != os.getpid() and _is_of_the_run(one)]


def mounts():
    """Return the mounts below the folder of the run."""
    table = pathlib.Path('/proc/self/mountinfo').read_text().splitlines()
    places = [line.split()[4] for line in table]
    return [f'mount {place}' for place in places
            if place.startswith(str(scratch.folder()))]


def files():
    """Return what lies in the folder of the run and is not expected there."""
    return [f'file {path}' for path in sorted(scratch.folder().iterdir())
            if not EXPECTED.fullmatch(path.name)]


def _is_of_the_run(process):
    """A process of another user, which may not be read, is not."""
    name = str(scratch.folder())
    with contextlib.suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            return (name in process.cwd() or
                    name in ' '.join(process.cmdline()) or
                    any(name in value
                        for value in process.environ().values()))
    return False


def _described(process):
    with contextlib.suppress(psutil.Error):
        return ' '.join(process.cmdline())[:200]
    return 'ended meanwhile'
