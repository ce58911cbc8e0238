"""In what state an instance is, given what its files and /proc say. Pure."""

import dataclasses
import os
import signal

from computed import states
from computed.virt.process import proc


@dataclasses.dataclass(frozen=True)
class Run:
    """One start of an instance, as its shim wrote it down.

    :ivar main: the process that the instance is
    :ivar shim: its parent, which writes down how it ends
    :ivar started_at: UTC, ISO 8601, for people
    """

    boot_id: str
    main: proc.Process
    shim: proc.Process
    started_at: str

    @property
    def identity(self):
        """What no other run of any instance of this host ever has."""
        return {'boot_id': self.boot_id, 'pid': self.main.pid,
                'start_time': self.main.start_time}


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What an instance is found to be; as in ``InstanceInfo``."""

    power_state: int
    reason: str | None = None
    exit_code: int | None = None


def judge(run, boot_id, stat, ending, stopping):
    """Judge an instance.

    :param run: its last :class:`Run`; None if there was none
    :param boot_id: of this boot
    :param stat: of the process with the pid of ``run``, whoever that is now;
        must have been read *before* ``ending``, for the shim first writes
        the end down and then lets the process go
    :param ending: how a run ended: its identity and ``code``; or None
    :param stopping: the identity of the run we ended on purpose; or None
    :rtype: Judgement
    """
    if run is None:
        return Judgement(states.SHUTDOWN, 'was never started')
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
    return Judgement(states.CRASHED, _described(code), code)


def _exit_code(run, stat, ending):
    if ending and {**ending, 'code': None} == {**run.identity, 'code': None}:
        return ending['code']
    if stat:
        return os.waitstatus_to_exitcode(stat.exit_status)
    return None


def _described(code):
    if code > 0:
        return f'exit code {code}'
    try:
        return f'killed by {signal.Signals(-code).name}'
    except ValueError:
        return f'killed by signal {-code}'
