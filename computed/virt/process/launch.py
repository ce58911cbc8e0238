"""Start a guest: run a shim, and wait until the guest runs."""

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
from computed.virt.process import folder
from computed.virt.process import marks
from computed.virt.process import network
from computed.virt.process import shim

_START_SECONDS = 30
# The variables that a guest gets from the environment of the daemon. Others
# may hold secrets.
_PASSED_ON = ('PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ')


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


def request(guest: folder.Folder, record: folder.Record,
            environ: abc.Mapping[str, str],
            cpus: abc.Collection[int]) -> dict[str, typing.Any]:
    """Return the request for the shim.

    :param environ: the environment of the daemon
    :param cpus: the CPUs that the daemon may use
    :raises computed.exception.DriverError: the program ``ip`` is missing
    """
    spec = record.spec
    return {
        'folder': guest.path,
        'started_at': marks.as_text(clock.time()),
        'command': shell_line(spec.command),
        'environment': {
            **{name: environ[name] for name in _PASSED_ON
               if name in environ},
            **marks.of_guest(guest)},
        'cpus': choose_cpus(cpus, spec.vcpus, spec.uuid),
        'memory_bytes': max(0, spec.memory_mb) << 20,
        'network': network.request(record.interface)
        if spec.network == 'private' else None}


def start(guest: folder.Folder, record: folder.Record) -> None:
    """Start the guest, and return when it runs.

    :raises computed.exception.NotSupported: the kernel refuses its network
    :raises computed.exception.DriverTimeout: it does not run after 30 s
    :raises computed.exception.DriverError: any other failure
    """
    wanted = request(guest, record, os.environ, os.sched_getaffinity(0))
    try:
        result = subprocess.run(
            [sys.executable, '-S', '-E', '-P', shim.__file__],
            input=json.dumps(wanted), check=False, capture_output=True,
            encoding='utf-8', errors='replace', timeout=_START_SECONDS,
            cwd='/', start_new_session=True,
            env={**marks.of_shim(guest, record, wanted['started_at']),
                 'PATH': os.environ.get('PATH', os.defpath)})
    except subprocess.TimeoutExpired as error:
        raise exception.DriverTimeout(
            timeout=_START_SECONDS,
            operation=f'start guest {guest.uuid}') from error
    if result.returncode == shim.REFUSED:
        raise exception.NotSupported(
            driver='process', operation=f'start guest {guest.uuid}: '
                                        f'{result.stderr.strip()}')
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        raise exception.DriverError(
            reason=lines[-1] if lines else
            f'the shim ended with code {result.returncode}')
