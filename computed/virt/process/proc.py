"""Read processes from /proc, and never signal a wrong process.

psutil cannot replace this: it takes three times as long for all processes,
has no exit status of a process that is not our child, and its start times
change when an operator sets the clock.
"""

import collections.abc
import dataclasses
import os
import selectors
import signal

from computed import clock

# Each process that is waited for costs a descriptor. More at once does not
# make the wait shorter.
_WAIT_AT_ONCE = 64
# Clock ticks in a second: the unit of start times.
TICKS = os.sysconf('SC_CLK_TCK')


@dataclasses.dataclass(frozen=True)
class Process:
    """The identity of one process of this boot. A pid alone is reused.

    :ivar start_time: clock ticks since boot, field 22 of ``/proc/PID/stat``
    """

    pid: int
    start_time: int


#: Stands for a process that is not known. No process has this identity.
NOBODY = Process(pid=0, start_time=0)


@dataclasses.dataclass(frozen=True)
class Stat:
    """The facts of ``/proc/PID/stat`` that the driver needs.

    :ivar state: one letter, as ``proc(5)`` lists them
    :ivar exit_status: as ``wait(2)`` gives it; of a zombie only
    :ivar name: of the program, or the one that it gave itself
    """

    process: Process
    parent: int
    state: str
    threads: int
    exit_status: int
    name: str = ''

    @property
    def ended(self) -> bool:
        """Return whether no thread of the process runs any more.

        A process whose first thread has ended is a zombie too, while its
        other threads run.
        """
        return self.state in 'ZX' and self.threads <= 1

    @property
    def stopped(self) -> bool:
        """Return whether a signal stopped it."""
        return self.state == 'T'


def parse_stat(text: str) -> Stat:
    """Read the text of ``/proc/PID/stat``.

    The second field, the name, may contain blanks and brackets.
    """
    pid, _, named = text.partition(' (')
    name, _, rest = named.rpartition(')')
    fields = rest.split()       # from the third field on
    return Stat(process=Process(pid=int(pid), start_time=int(fields[19])),
                parent=int(fields[1]), state=fields[0],
                threads=int(fields[17]), exit_status=int(fields[49]),
                name=name)


def stat(pid: int) -> Stat | None:
    """Return the facts of ``pid``; None if there is no such process."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8',
                  errors='replace') as file:
            return parse_stat(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def stat_of(process: Process) -> Stat | None:
    """Return the facts of exactly this process; None if it is gone."""
    found = stat(process.pid)
    return found if found and found.process == process else None


def alive(process: Process) -> bool:
    """Return whether exactly this process still runs; a zombie does not."""
    found = stat_of(process)
    return found is not None and not found.ended


def pids() -> list[int]:
    """Return the pids of all processes."""
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]


def table() -> dict[int, Stat]:
    """Return the facts of all processes, by pid."""
    return {pid: one for pid in pids() if (one := stat(pid))}


def descendants(processes: dict[int, Stat],
                roots: collections.abc.Iterable[int]) -> set[int]:
    """Return the pids of ``roots`` and of all their descendants.

    :param processes: from :func:`table`
    """
    children: dict[int, list[int]] = {}
    for pid, one in processes.items():
        children.setdefault(one.parent, []).append(pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in processes]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children.get(pid, ()))
    return found


def environment(pid: int) -> bytes:
    """Return the environment that ``pid`` started with.

    Each ``NAME=value`` ends with a zero byte. Empty if the process is gone or
    we may not read it.
    """
    try:
        with open(f'/proc/{pid}/environ', 'rb') as file:
            return file.read()
    except OSError:
        return b''


def is_ours(pid: int) -> bool:
    """Return whether the process runs as our user.

    A guest can write what it likes into its environment. A shim is ours.
    """
    try:
        return os.stat(f'/proc/{pid}').st_uid == os.geteuid()
    except OSError:
        return False


def boot_id() -> str:
    """Return the id of the current boot. Start times repeat in another one.
    """
    with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as file:
        return file.read().strip()


def booted_at() -> float:
    """Return the time of the boot in seconds since 1970."""
    with open('/proc/stat', encoding='ascii') as file:
        for line in file:
            if line.startswith('btime '):
                return float(line.split()[1])
    raise OSError('/proc/stat has no btime')


def open_pidfd(process: Process) -> int | None:
    """Open a descriptor of exactly this process; None if it is gone."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    # From here on the descriptor cannot mean another process. Before that,
    # the pid may have been reused.
    if stat_of(process) is None:
        os.close(descriptor)
        return None
    return descriptor


def send(process: Process, signum: int) -> bool:
    """Send a signal to exactly this process.

    :returns: False if the process is gone or belongs to another user
    """
    descriptor = open_pidfd(process)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, signum)
        return True
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(descriptor)


def wait_gone(processes: collections.abc.Sequence[Process],
              seconds: float) -> bool:
    """Wait until the processes ended, at most ``seconds``.

    Only the first 64 count: the caller looks at the rest again anyway.

    :returns: whether they ended
    """
    selector = selectors.DefaultSelector()
    waiting = set()
    try:
        for process in processes[:_WAIT_AT_ONCE]:
            if (descriptor := open_pidfd(process)) is not None:
                waiting.add(descriptor)
                selector.register(descriptor, selectors.EVENT_READ)
        deadline = clock.monotonic() + seconds
        while waiting and (left := deadline - clock.monotonic()) > 0:
            for key, _ in selector.select(left):
                selector.unregister(key.fd)
                waiting.remove(key.fd)
                os.close(key.fd)
        return not waiting
    finally:
        selector.close()
        for descriptor in waiting:
            os.close(descriptor)
