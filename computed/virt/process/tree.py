"""All processes of one instance: finding, stopping and ending them.

Whoever descends from the shim belongs to the instance, and, should somebody
have killed the shim, whoever carries the instance's environment.
"""

import signal
import time

from computed import exception
from computed.virt.process import proc

# Each instance's processes start with both; two hosts on one machine may
# hold the same uuid, so the folder counts too.
UUID_VARIABLE = 'COMPUTED_INSTANCE'
FOLDER_VARIABLE = 'COMPUTED_FOLDER'
SHIM_VARIABLE = 'COMPUTED_SHIM'

# Until what was sent a signal must have obeyed it. Only the kernel can delay
# that: a process that waits for a dead disk, say.
_OBEY_SECONDS = 10
# Until a shim whose processes have all ended must have ended too.
_SHIM_SECONDS = 2
_PAUSE = 0.002


def environment(folder):
    """By what variables the processes of an instance are known."""
    return {UUID_VARIABLE: folder.uuid, FOLDER_VARIABLE: folder.path}


class Tree:
    """The processes of one instance, looked for anew by each call."""

    def __init__(self, folder, run):
        """``run`` is None if it is not known: marks must do then."""
        self.uuid = folder.uuid
        self.run = run if run and run.boot_id == proc.boot_id() else None
        self._marks = {f'{name}={value}'.encode() for name, value
                       in environment(folder).items()}
        self._shim_mark = f'{SHIM_VARIABLE}={folder.path}'.encode()

    def look(self):
        """The live processes of the instance.

        :returns: its members, and the shims, as lists of ``proc.Stat``
        """
        table = proc.table()
        members, shims = self._known(table)
        since = self.run.shim.start_time if self.run else 0
        for pid, stat in table.items():
            if stat.process.start_time >= since and not stat.ended:
                found = proc.environment(pid)
                if self._shim_mark in found:
                    shims.add(pid)
                elif self._marks <= found:
                    members.add(pid)
        members = proc.descendants(table, members | shims) - shims
        return ([table[pid] for pid in members if not table[pid].ended],
                [table[pid] for pid in shims if not table[pid].ended])

    def _known(self, table):
        if self.run is None:
            return set(), set()
        return tuple(
            {process.pid} if process.pid in table
            and table[process.pid].process == process else set()
            for process in (self.run.main, self.run.shim))

    def stop(self):
        """Stop all of them, new ones included; the shim goes on.

        :raises computed.exception.DriverTimeout: some did not; all go on
        """
        deadline = time.monotonic() + _OBEY_SECONDS
        sent = set()
        while True:
            members, _ = self.look()
            new = [one.process for one in members
                   if one.process not in sent]
            for process in new:
                proc.send(process, signal.SIGSTOP)
            sent.update(new)
            if not new and all(map(self._at_rest, members)):
                return
            if time.monotonic() > deadline:
                self.resume()
                raise self._timeout('pause')
            time.sleep(_PAUSE)

    def _at_rest(self, stat):
        # Within a system call that cannot be interrupted ("D") the signal
        # waits, but nothing of the program runs until it is obeyed.
        return stat.state in 'Tt' or (
            stat.state == 'D' and stat.process != self._main)

    def resume(self):
        """Let all of them run on.

        :raises computed.exception.DriverTimeout: the main one did not
        """
        deadline = time.monotonic() + _OBEY_SECONDS
        while True:
            members, _ = self.look()
            for one in members:
                if one.stopped:
                    proc.send(one.process, signal.SIGCONT)
            main = self._main and proc.stat_of(self._main)
            if not (main and main.stopped):
                return
            if time.monotonic() > deadline:
                raise self._timeout('unpause')
            time.sleep(_PAUSE)

    def terminate(self, seconds):
        """Ask all of them to end; wait for the main one, not longer."""
        processes = [one.process for one in self.look()[0]]
        for signum in (signal.SIGTERM, signal.SIGCONT):
            for process in processes:
                proc.send(process, signum)
        main = [self._main] if self._main else processes
        proc.wait_gone(main, seconds)

    def kill(self):
        """End all of them, those started meanwhile included.

        :raises computed.exception.DriverTimeout: some are still there
        """
        deadline = time.monotonic() + _OBEY_SECONDS
        shims_end = time.monotonic() + _SHIM_SECONDS
        while True:
            members, shims = self.look()
            if not members and not shims:
                return
            if time.monotonic() > deadline:
                raise self._timeout('end')
            for one in members:
                proc.send(one.process, signal.SIGKILL)
            # A shim is left to write down how the instance ended.
            signum = (signal.SIGKILL if time.monotonic() > shims_end
                      else signal.SIGCONT)
            for one in shims:
                proc.send(one.process, signum)
            proc.wait_gone([one.process for one in members or shims],
                           _SHIM_SECONDS / 10)

    @property
    def _main(self):
        return self.run and self.run.main

    def _timeout(self, act):
        return exception.DriverTimeout(
            timeout=_OBEY_SECONDS, operation=f'{act} guest {self.uuid}')
