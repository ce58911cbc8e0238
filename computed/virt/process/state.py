"""Derive the state of a guest from its files and from /proc. Pure."""

import dataclasses
import os
import signal
import typing

from computed import states
from computed.virt.process import proc

#: The reason of a guest without a run.
NEVER_STARTED = 'was never started'


class Identity(typing.TypedDict):
    """The names of a run that no other run of this host ever has."""

    boot_id: str
    pid: int
    start_time: int


class Ending(Identity):
    """How a run ended, as its shim recorded it.

    ``code`` is the exit code, negative for the number of a signal.
    """

    code: int


@dataclasses.dataclass(frozen=True)
class Run:
    """One start of a guest, as its shim recorded it.

    :ivar boot_id: the boot of the host in which it was started
    :ivar main: the process that runs the guest's command
    :ivar shim: its parent, which records how it ends
    :ivar started_at: UTC, ISO 8601, to show to an operator
    :ivar cgroups: the control groups of its processes, without the shim
    """

    boot_id: str
    main: proc.Process
    shim: proc.Process
    started_at: str
    cgroups: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        """Return the names that no other run of this host ever has."""
        return {'boot_id': self.boot_id, 'pid': self.main.pid,
                'start_time': self.main.start_time}


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The state of a guest, with the fields of ``InstanceInfo``."""

    power_state: int
    reason: str | None = None
    exit_code: int | None = None


def judge(run: Run | None, boot_id: str, stat: proc.Stat | None,
          ending: Ending | None, stopping: Identity | None) -> Judgement:
    """Return the state of a guest.

    :param run: its last run; None if it was never started
    :param boot_id: of the current boot
    :param stat: of the process that has the pid of ``run`` now, which may be
        another process. The caller reads it *before* ``ending``: the shim
        records the end first and lets the process go after that.
    :param ending: the recorded end of a run, perhaps an earlier one
    :param stopping: the run that the driver ended on purpose
    """
    if run is None:
        return Judgement(states.SHUTDOWN, NEVER_STARTED)
    if run.boot_id != boot_id or stat is None or stat.process != run.main:
        stat = None
    if stat and not stat.ended:
        return Judgement(states.POWER_PAUSED if stat.stopped
                         else states.RUNNING)
    code = _exit_code(run, stat, ending)
    if stopping == run.identity:
        return Judgement(states.SHUTDOWN, 'was stopped', code)
    if code is None:
        return Judgement(states.SHUTDOWN, 'host was restarted'
                         if run.boot_id != boot_id else 'exit code unknown')
    if code == 0:
        return Judgement(states.SHUTDOWN, 'ended by itself', code)
    return Judgement(states.CRASHED, _describe(code), code)


def _exit_code(run: Run, stat: proc.Stat | None,
               ending: Ending | None) -> int | None:
    if ending and ending == {**run.identity, 'code': ending['code']}:
        return ending['code']
    if stat:
        return os.waitstatus_to_exitcode(stat.exit_status)
    return None


def _describe(code: int) -> str:
    if code > 0:
        return f'exit code {code}'
    try:
        return f'killed by {signal.Signals(-code).name}'
    except ValueError:
        return f'killed by signal {-code}'
