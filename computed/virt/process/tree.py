"""Find, stop and end all processes of one guest.

A process belongs to the guest if it descends from the shim or is in the
guest's control group. If the shim was killed, it also belongs to the guest if
its environment has the markers of the guest, unless it descends from the shim
of another guest.
"""

import signal
import time
from collections import abc

from computed import clock
from computed import exception
from computed.virt.process import cgroups
from computed.virt.process import folder
from computed.virt.process import marks
from computed.virt.process import proc
from computed.virt.process import state

# A process obeys SIGSTOP and SIGKILL within this time. Only the kernel can
# delay that, for example while the process waits for a broken disk.
_OBEY_SECONDS = 10
# A shim ends within this time after the last process of its guest.
_SHIM_SECONDS = 2
_PAUSE = 0.002
# Seconds between two looks whether somebody is in a hurry.
_LOOK_SECONDS = 0.5


class Tree:
    """The processes of one guest. Each call reads /proc again."""

    def __init__(self, guest: folder.Folder,
                 run: state.Run | None) -> None:
        """Prepare to find the processes of a guest.

        :param run: its last run; None if it is not known: then only the
            markers tell which processes are its own
        """
        self.uuid = guest.uuid
        self._path = guest.path
        self.run = run if run and run.boot_id == proc.boot_id() else None
        self._main = self.run.main if self.run else None
        self._cgroups = self.run.cgroups if self.run else ()
        self._markers = {f'{name}={value}'.encode() for name, value
                         in marks.of_guest(guest).items()}
        self._shim_marker = f'{marks.SHIM_VARIABLE}={guest.path}'.encode()

    def look(self) -> tuple[list[proc.Stat], list[proc.Stat]]:
        """Return the live processes of the guest: its members, its shims."""
        table = proc.table()
        members, shims = self._known(table)
        since = self.run.shim.start_time if self.run else 0
        for pid, stat in table.items():
            if stat.process.start_time >= since and not stat.ended:
                found = set(proc.environment(pid).split(b'\0'))
                is_shim = self._shim_marker in found and proc.is_ours(pid)
                if (is_shim or self._markers <= found) and (
                        not marks.is_of_another(pid, self._path, table.get)):
                    (shims if is_shim else members).add(pid)
        members |= cgroups.members(self._cgroups) & table.keys()
        members = proc.descendants(table, members | shims) - shims
        return ([table[pid] for pid in members if not table[pid].ended],
                [table[pid] for pid in shims if not table[pid].ended])

    def _known(
            self, table: dict[int, proc.Stat]) -> tuple[set[int], set[int]]:
        """Return the pids of the recorded main process and shim."""
        if self.run is None:
            return set(), set()
        main, shim = (
            {process.pid} if process.pid in table
            and table[process.pid].process == process else set()
            for process in (self.run.main, self.run.shim))
        return main, shim

    def stop(self) -> None:
        """Stop all members, with those that start meanwhile; not the shim.

        :raises computed.exception.DriverTimeout: some did not stop; then all
            run again
        """
        deadline = clock.monotonic() + _OBEY_SECONDS
        sent: set[proc.Process] = set()
        while True:
            members, _ = self.look()
            new = [one.process for one in members
                   if one.process not in sent]
            for process in new:
                proc.send(process, signal.SIGSTOP)
            sent.update(new)
            if not new and all(map(self._at_rest, members)):
                return
            if clock.monotonic() > deadline:
                self.resume()
                raise self._timeout('pause')
            time.sleep(_PAUSE)

    def _at_rest(self, stat: proc.Stat) -> bool:
        # A process in an uninterruptible system call ("D") stops when the
        # call returns, before it runs any more code of the program.
        return stat.state in 'Tt' or (
            stat.state == 'D' and stat.process != self._main)

    def resume(self) -> None:
        """Let all members run again.

        :raises computed.exception.DriverTimeout: the main process is still
            stopped
        """
        deadline = clock.monotonic() + _OBEY_SECONDS
        while True:
            members, _ = self.look()
            for one in members:
                if one.stopped:
                    proc.send(one.process, signal.SIGCONT)
            main = self._main and proc.stat_of(self._main)
            if not (main and main.stopped):
                return
            if clock.monotonic() > deadline:
                raise self._timeout('unpause')
            time.sleep(_PAUSE)

    def terminate(self, seconds: float,
                  hurry: abc.Callable[[], object]) -> None:
        """Ask all members to end, and wait for the main process only.

        :param hurry: whether to wait no longer
        """
        processes = [one.process for one in self.look()[0]]
        for signum in (signal.SIGTERM, signal.SIGCONT):
            for process in processes:
                proc.send(process, signum)
        main = [self._main] if self._main else processes
        deadline = clock.monotonic() + seconds
        while not hurry() and (left := deadline - clock.monotonic()) > 0:
            if proc.wait_gone(main, min(left, _LOOK_SECONDS)):
                return

    def kill(self) -> None:
        """End all members, with those that start meanwhile, and the shim.

        :raises computed.exception.DriverTimeout: some are still there
        """
        deadline = clock.monotonic() + _OBEY_SECONDS
        shims_end = clock.monotonic() + _SHIM_SECONDS
        while True:
            members, shims = self.look()
            if not members and not shims:
                cgroups.remove(self._cgroups)
                return
            if clock.monotonic() > deadline:
                raise self._timeout('end')
            cgroups.kill(self._cgroups)
            for one in members:
                proc.send(one.process, signal.SIGKILL)
            # The shim gets time to record how the guest ended.
            signum = (signal.SIGKILL if clock.monotonic() > shims_end
                      else signal.SIGCONT)
            for one in shims:
                proc.send(one.process, signum)
            proc.wait_gone([one.process for one in members or shims],
                           _SHIM_SECONDS / 10)

    def _timeout(self, act: str) -> exception.DriverTimeout:
        return exception.DriverTimeout(
            timeout=_OBEY_SECONDS, operation=f'{act} guest {self.uuid}')
