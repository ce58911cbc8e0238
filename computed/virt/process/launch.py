"""Start a guest: run a shim, and wait until the guest runs."""

import dataclasses
import json
import os
import shlex
import subprocess
import sys
import typing
import uuid
from collections import abc

from computed import clock
from computed import exception
from computed import files
from computed.virt import driver
from computed.virt.process import cgroups
from computed.virt.process import folder
from computed.virt.process import isolation
from computed.virt.process import marks
from computed.virt.process import network
from computed.virt.process import volumes

_START_SECONDS = 30
# The variables that a guest gets from the environment of the daemon. Others
# may hold secrets.
_PASSED_ON = ('PATH', 'LANG', 'LC_ALL', 'TZ')
# The PATH of a guest that has a user of its own: that of the daemon may name
# folders that only root may search, and these hide what follows.
_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
# The exit code of the shim if the kernel refuses a private network.
REFUSED = 3


@dataclasses.dataclass(frozen=True)
class Settings:
    """What holds for all guests of a daemon.

    :ivar hidden: files and folders that no guest may see
    :ivar processes_per_vcpu: 0: no limit
    :ivar require_limits: refuse a guest one of whose limits is not kept
    :ivar console_bytes: how much of the output of a guest is kept
    """

    isolation: isolation.Isolation
    hidden: tuple[str, ...] = ()
    processes_per_vcpu: int = 0
    require_limits: bool = False
    console_bytes: int = 1 << 24


def choose_cpus(available: abc.Collection[int], count: int,
                instance_uuid: str) -> list[int]:
    """Choose the CPUs that a guest may use. Pure.

    They are neighbours. The uuid selects the first one, so that small guests
    do not all share one CPU.

    :param available: the CPUs that the daemon may use
    :returns: their numbers; empty for all CPUs
    """
    if not 0 < count < len(available):
        return []
    ordered = sorted(available)
    first = uuid.UUID(instance_uuid).int % len(ordered)
    return sorted((ordered + ordered)[first:first + count])


# The first word of a compound command or of a builtin: "exec" fails on them.
_SHELL_WORDS = frozenset(
    ['!', '{', '.', ':', 'case', 'cd', 'eval', 'exec', 'exit', 'export',
     'for', 'if', 'set', 'trap', 'ulimit', 'umask', 'unset', 'until',
     'while'])


def shell_line(command: str) -> str:
    """Return the text with which ``/bin/sh -c`` runs ``command``. Pure.

    A simple command gets "exec" in front: it replaces the shell, so that the
    guest's main process is the command itself. In any other command "exec"
    would run only the first part.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.commenters = ''
    try:
        words = list(lexer)
    except ValueError:      # unbalanced quotes: the shell reports them
        return command
    operators = any(word and set(word) <= set('();|&') for word in words)
    if operators or '\n' in command or not words or (
            words[0] in _SHELL_WORDS or '=' in words[0]):
        return command
    return f'exec {command}'


def check(spec: driver.InstanceSpec, settings: Settings) -> None:
    """Refuse a guest that this host cannot shut in as the options say.

    :raises computed.exception.NotSupported: the text gives the reason
    """
    if settings.isolation.refusal:
        raise exception.NotSupported(
            driver='process',
            operation=f'start guest {spec.uuid}: '
                      f'{settings.isolation.refusal}')
    lacking = not_kept(spec, settings)
    if lacking and settings.require_limits:
        raise exception.NotSupported(
            driver='process',
            operation=f'keep the limits of guest {spec.uuid} on this host: '
                      f'{", ".join(lacking)}')


def limits(spec: driver.InstanceSpec, settings: Settings,
           cpus: int) -> cgroups.Limits:
    """Return the limits of a guest. Pure.

    :param cpus: how many processors the daemon may use
    """
    return cgroups.Limits(
        memory=max(0, spec.memory_mb) << 20,
        pids=settings.processes_per_vcpu * max(1, spec.vcpus),
        cpu=spec.vcpus if 0 < spec.vcpus < cpus else 0)


def not_kept(spec: driver.InstanceSpec,
             settings: Settings) -> list[str]:
    """Return the limits of a guest that this host does not keep. Pure."""
    kept = settings.isolation.controllers
    found = []
    if spec.memory_mb > 0 and 'memory' not in kept:
        found.append(f'{spec.memory_mb} MiB of memory (only each process by '
                     'itself)')
    if settings.processes_per_vcpu and 'pids' not in kept and (
            settings.isolation.uids is None):
        found.append('the number of processes')
    if spec.vcpus > 0 and 'cpu' not in kept:
        found.append(f'{spec.vcpus} processors (only until the guest chooses '
                     'others)')
    if spec.disk_gb > 0:
        found.append(f'{spec.disk_gb} GiB of disk')
    return found


def request(guest: folder.Folder, record: folder.Record,
            environ: abc.Mapping[str, str], cpus: abc.Collection[int],
            settings: Settings) -> dict[str, typing.Any]:
    """Return the request for the shim.

    :param environ: the environment of the daemon
    :param cpus: the CPUs that the daemon may use
    :raises computed.exception.DriverError: the program ``ip`` is missing
    """
    spec, given = record.spec, settings.isolation
    uid = record.uid if given.uids is not None else None
    wanted = limits(spec, settings, len(cpus))
    shut_in = uid is not None or given.mount_namespace
    home = {'HOME': guest['disk']} if shut_in else {
        name: environ[name] for name in ('HOME', 'USER', 'LOGNAME')
        if name in environ}
    if uid is not None:
        home['PATH'] = _PATH
    return {
        'folder': guest.path,
        'started_at': marks.as_text(clock.time()),
        'command': shell_line(spec.command),
        'environment': {
            **{name: environ[name] for name in _PASSED_ON
               if name in environ}, **home, **marks.of_guest(guest)},
        'cpus': choose_cpus(cpus, spec.vcpus, spec.uuid),
        'memory_bytes': wanted.memory,
        # The daemon has raised its own; programs with select() need the usual.
        'open_files': files.given_limit(),
        # Where no control group counts them, the kernel counts by user.
        'processes': wanted.pids if uid is not None and
        'pids' not in given.controllers else 0,
        'cgroups': cgroups.paths_of(guest, given.hierarchies),
        'console_bytes': settings.console_bytes,
        'hidden': list(settings.hidden),
        'volumes': [one.for_shim() for one in volumes.of_guest(guest)],
        'isolation': given.for_shim(uid),
        'network': network.request(record.interface)
        if spec.network == 'private' else None}


def start(guest: folder.Folder, record: folder.Record,
          settings: Settings) -> None:
    """Start the guest, and return when it runs.

    :raises computed.exception.NotSupported: the kernel refuses its network
    :raises computed.exception.DriverTimeout: it does not run after 30 s
    :raises computed.exception.DriverError: any other failure
    """
    if settings.isolation.uids is not None and record.uid is None:
        raise exception.DriverError(
            reason=f'guest {guest.uuid} has no user id of its own; set '
                   '[process] guests_run_as_root, or delete its instance')
    if not settings.isolation.mount_namespace and volumes.of_guest(guest):
        raise exception.NotSupported(
            driver='process', operation=f'show guest {guest.uuid} its '
            'volumes, because this host refuses mount namespaces')
    cpus = os.sched_getaffinity(0)
    wanted = request(guest, record, os.environ, cpus, settings)
    cgroups.prepare(guest, settings.isolation.hierarchies,
                    limits(record.spec, settings, len(cpus)))
    try:
        result = subprocess.run(
            [sys.executable, '-S', '-E', '-P', isolation.program()],
            input=json.dumps(wanted), check=False, capture_output=True,
            encoding='utf-8', errors='replace', timeout=_START_SECONDS,
            cwd='/', start_new_session=True,
            env={**marks.of_shim(guest, record, wanted['started_at'],
                                 wanted['cgroups']),
                 'PATH': os.environ.get('PATH', os.defpath)})
    except subprocess.TimeoutExpired as error:
        raise exception.DriverTimeout(
            timeout=_START_SECONDS,
            operation=f'start guest {guest.uuid}') from error
    if result.returncode == REFUSED:
        raise exception.NotSupported(
            driver='process', operation=f'start guest {guest.uuid}: '
                                        f'{result.stderr.strip()}')
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        raise exception.DriverError(
            reason=lines[-1] if lines else
            f'the shim ended with code {result.returncode}')
