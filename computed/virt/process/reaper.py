"""Collect dead processes of guests that became our children.

A shim outlives the program that starts it, and belongs to the first process
of the system or container after that. If the daemon is that process, or a
subreaper, it is the one to collect the shim when it has ended, and what a
killed shim has left. Our own children are collected by who started them.
"""

import contextlib
import os

from computed import clock
from computed.virt.process import marks
from computed.virt.process import proc

# Who started a process of ours waits for it, and collects it at once. After
# these seconds nobody does.
_FORGOTTEN = 10.0


class Reaper:
    """Collects the children that nobody else does."""

    def __init__(self) -> None:
        # The dead child that was seen last, and since when.
        self._seen: tuple[proc.Process, float] | None = None

    def reap(self) -> int:
        """Collect what has ended; return how many processes that were."""
        count = 0
        while (pid := _dead_child()) and self._is_forgotten(pid):
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)
                count += 1
        return count

    def _is_forgotten(self, pid: int) -> bool:
        stat = proc.stat(pid)
        if stat is None:
            return False        # who started it was faster
        if marks.main_pid(stat.name):
            return True         # a shim
        now = clock.monotonic()
        if self._seen is None or self._seen[0] != stat.process:
            self._seen = stat.process, now
        return now - self._seen[1] >= _FORGOTTEN


def _dead_child() -> int:
    """Return the pid of a child that has ended, without collecting it."""
    with contextlib.suppress(ChildProcessError):
        found = os.waitid(os.P_ALL, 0,
                          os.WEXITED | os.WNOWAIT | os.WNOHANG)
        return found.si_pid if found else 0
    return 0
