"""Starts an instance: asks a shim to, and waits until it did."""

import json
import os
import shlex
import subprocess
import sys
import uuid

from computed import exception
from computed.virt.process import network
from computed.virt.process import shim
from computed.virt.process import tree

_START_SECONDS = 30
# What an instance gets of the daemon's environment. Not all of it: secrets
# may be among them.
_PASSED_ON = ('PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ')


def choose_cpus(available, count, instance_uuid):
    """Which CPUs an instance may use. Pure.

    Neighbours in order, the first drawn by the uuid, so that small instances
    do not all share the first CPU.

    :returns: a list, empty for "all of them"
    """
    if not 0 < count < len(available):
        return []
    ordered = sorted(available)
    first = uuid.UUID(instance_uuid).int % len(ordered)
    return sorted((ordered + ordered)[first:first + count])


# Words that begin a compound command or a builtin: "exec" cannot run them.
_SHELL_WORDS = frozenset(
    ['!', '{', '.', ':', 'case', 'cd', 'eval', 'exec', 'exit', 'export',
     'for', 'if', 'set', 'trap', 'ulimit', 'umask', 'unset', 'until',
     'while'])


def shell_line(command):
    """What ``/bin/sh -c`` is given to run ``command``. Pure.

    A simple command replaces the shell, so that the instance's main process
    is the command itself; with anything else, "exec" would run the first
    part only and drop the rest.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.commenters = ''
    try:
        words = list(lexer)
    except ValueError:      # unbalanced quotes: the shell says so itself
        return command
    operators = any(word and set(word) <= set('();|&') for word in words)
    if operators or '\n' in command or not words or (
            words[0] in _SHELL_WORDS or '=' in words[0]):
        return command
    return f'exec {command}'


def request(folder, record, environ, cpus):
    """What the shim is told. Pure but for a look for the program ``ip``."""
    spec = record.spec
    return {
        'folder': folder.path,
        'command': shell_line(spec.command),
        'environment': {
            **{name: environ[name] for name in _PASSED_ON
               if name in environ},
            **tree.environment(folder)},
        'cpus': choose_cpus(cpus, spec.vcpus, spec.uuid),
        'memory_bytes': max(0, spec.memory_mb) << 20,
        'network': network.request(record.interface)
        if spec.network == 'private' else None}


def start(folder, record):
    """Start the instance; when this returns, it runs.

    :type record: folder.Record
    :raises computed.exception.NotSupported: the kernel refuses its network
    :raises computed.exception.DriverTimeout: it took too long
    :raises computed.exception.DriverError: anything else
    """
    wanted = request(folder, record, os.environ, os.sched_getaffinity(0))
    try:
        result = subprocess.run(
            [sys.executable, '-S', '-E', '-P', shim.__file__],
            input=json.dumps(wanted), check=False, capture_output=True,
            encoding='utf-8', errors='replace', timeout=_START_SECONDS,
            cwd='/', start_new_session=True,
            env={tree.SHIM_VARIABLE: folder.path,
                 'PATH': os.environ.get('PATH', os.defpath)})
    except subprocess.TimeoutExpired as error:
        raise exception.DriverTimeout(
            timeout=_START_SECONDS,
            operation=f'start guest {folder.uuid}') from error
    if result.returncode == shim.REFUSED:
        raise exception.NotSupported(
            driver='process', operation=f'start guest {folder.uuid}: '
                                        f'{result.stderr.strip()}')
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        raise exception.DriverError(
            reason=lines[-1] if lines else
            f'the shim ended with code {result.returncode}')
