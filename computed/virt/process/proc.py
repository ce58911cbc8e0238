"""What /proc says of processes, and signals that cannot hit a stranger."""

import dataclasses
import os
import selectors
import signal
import time

# Waiting for more at once gains nothing, and costs a descriptor each.
_WAIT_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Process:
    """One process of this boot, for certain: a pid alone is used again.

    :ivar start_time: clock ticks since boot, field 22 of ``/proc/PID/stat``
    """

    pid: int
    start_time: int


@dataclasses.dataclass(frozen=True)
class Stat:
    """What ``/proc/PID/stat`` says that matters here."""

    process: Process
    parent: int
    state: str
    threads: int
    exit_status: int

    @property
    def ended(self):
        """Nothing of it runs any more.

        A first thread that ended before the others shows as a zombie too,
        while its process lives on.
        """
        return self.state in 'ZX' and self.threads <= 1

    @property
    def stopped(self):
        """It was stopped by a signal."""
        return self.state == 'T'


def parse_stat(text):
    """Make a :class:`Stat` of the text of ``/proc/PID/stat``.

    The name, second field, is free text: it may hold blanks and brackets.
    """
    pid = int(text.partition(' ')[0])
    fields = text.rpartition(')')[2].split()    # from the third field on
    return Stat(process=Process(pid=pid, start_time=int(fields[19])),
                parent=int(fields[1]), state=fields[0],
                threads=int(fields[17]), exit_status=int(fields[49]))


def stat(pid):
    """The :class:`Stat` of ``pid``; None if there is no such process."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8',
                  errors='replace') as file:
            return parse_stat(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def stat_of(process):
    """The :class:`Stat` of exactly this process; None if it is gone."""
    found = stat(process.pid)
    return found if found and found.process == process else None


def alive(process):
    """Whether exactly this process still runs; a zombie does not."""
    found = stat_of(process)
    return found is not None and not found.ended


def table():
    """``{pid: Stat}`` of all processes there are."""
    found = {}
    for name in os.listdir('/proc'):
        if name.isdigit() and (one := stat(int(name))):
            found[one.process.pid] = one
    return found


def descendants(processes, roots):
    """The pids of ``roots`` and of all that descend from them.

    :param processes: ``{pid: Stat}``
    """
    children = {}
    for pid, one in processes.items():
        children.setdefault(one.parent, []).append(pid)
    found, waiting = set(), [pid for pid in roots if pid in processes]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children.get(pid, ()))
    return found


def environment(pid):
    """The environment ``pid`` was started with, a set of ``NAME=value``.

    Empty if it is gone or not for us to see.
    """
    try:
        with open(f'/proc/{pid}/environ', 'rb') as file:
            return set(file.read().split(b'\0'))
    except OSError:
        return set()


def boot_id():
    """Names this boot of the machine: start times repeat in the next."""
    with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as file:
        return file.read().strip()


def open_pidfd(process):
    """A descriptor that means this process for ever; None if it is gone."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    # Only now can the pid not change hands any more unseen.
    if stat_of(process) is None:
        os.close(descriptor)
        return None
    return descriptor


def send(process, signum):
    """Send a signal to exactly this process.

    :returns: whether it could be sent; not if it is gone or not ours
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


def wait_gone(processes, seconds):
    """Wait until the processes ended, or the seconds passed.

    Of many processes only the first are waited for: whoever has so many
    looks again anyway.
    """
    selector = selectors.DefaultSelector()
    waiting = set()
    try:
        for process in list(processes)[:_WAIT_AT_ONCE]:
            if (descriptor := open_pidfd(process)) is not None:
                waiting.add(descriptor)
                selector.register(descriptor, selectors.EVENT_READ)
        deadline = time.monotonic() + seconds
        while waiting and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                selector.unregister(key.fd)
                waiting.remove(key.fd)
                os.close(key.fd)
    finally:
        selector.close()
        for descriptor in waiting:
            os.close(descriptor)
