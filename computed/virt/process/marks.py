"""Find guests without their files, by what their processes carry.

A shim carries its folder and its record in its environment, and the pid of
the guest's main process in its name. The guest's other processes carry
markers in their environment. So a guest whose files were removed by hand is
still found as long as it runs.
"""

import collections
import dataclasses
import datetime
import functools
import json
import os
from collections import abc

from computed import exception
from computed import files
from computed.virt.process import folder
from computed.virt.process import proc
from computed.virt.process import state

# Markers: environment variables that each process of a guest starts with.
# Two hosts on one machine may have the same uuid, so the folder is one too.
UUID_VARIABLE = 'COMPUTED_INSTANCE'
FOLDER_VARIABLE = 'COMPUTED_FOLDER'
# Of the shim only.
SHIM_VARIABLE = 'COMPUTED_SHIM'
RECORD_VARIABLE = 'COMPUTED_RECORD'
RUN_VARIABLE = 'COMPUTED_RUN'

# The shim's name in the process list; the pid of the main process follows.
SHIM_NAME = 'shim-'


@dataclasses.dataclass(frozen=True)
class Found:
    """A guest that runs, as its processes tell.

    :ivar record: None if its shim was killed
    """

    run: state.Run
    record: folder.Record | None


def of_guest(guest: folder.Folder) -> dict[str, str]:
    """Return the markers of a guest's processes."""
    return {UUID_VARIABLE: guest.uuid, FOLDER_VARIABLE: guest.path}


def of_shim(guest: folder.Folder, record: folder.Record,
            started_at: str, cgroups: list[str]) -> dict[str, str]:
    """Return the markers of a guest's shim."""
    return {SHIM_VARIABLE: guest.path,
            RECORD_VARIABLE: json.dumps(folder.as_data(record)),
            RUN_VARIABLE: json.dumps([started_at, cgroups])}


def as_text(seconds: float) -> str:
    """Return a time since 1970 as ``started_at`` has it: UTC, ISO 8601."""
    return datetime.datetime.fromtimestamp(
        seconds, datetime.UTC).strftime('%Y-%m-%dT%H:%M:%SZ')


def search(root: str) -> dict[str, Found]:
    """Return the guests below ``root`` whose main process runs, by uuid.

    It reads the environment of every process of the host once.

    :param root: the folder of the guests' folders
    """
    shims: dict[str, tuple[proc.Stat, dict[str, str]]] = {}
    members: dict[str, list[proc.Stat]] = collections.defaultdict(list)
    # Most processes are no guests: do not look at more of them than this.
    needle = f'={root}/'.encode()
    look = functools.cache(proc.stat)
    for pid in proc.pids():
        if needle not in (environment := proc.environment(pid)):
            continue
        stat = look(pid)
        if stat is None or stat.ended:
            continue
        found = _variables(environment)
        for name in (SHIM_VARIABLE, FOLDER_VARIABLE):
            parent, uuid = os.path.split(found.get(name, ''))
            if parent != root or not files.is_uuid(uuid) or (
                    is_of_another(pid, found[name], look)):
                continue
            if name == FOLDER_VARIABLE:
                members[uuid].append(stat)
            elif main_pid(stat.name) and proc.is_ours(pid):
                shims[uuid] = stat, found
    guests = {}
    for uuid in shims.keys() | members.keys():
        shim, variables = shims.get(uuid, (None, {}))
        main = choose_main(proc.stat, shim, members[uuid])
        if main is not None:
            guests[uuid] = Found(_run(main, shim, variables),
                                 _record(variables))
    return guests


def main_pid(name: str) -> int:
    """Return the main process that the name of a shim tells; 0: none."""
    digits = name.removeprefix(SHIM_NAME)
    return int(digits) if digits != name and digits.isascii() and (
        digits.isdigit()) else 0


def is_of_another(pid: int, path: str,
                  look: abc.Callable[[int], proc.Stat | None]) -> bool:
    """Return whether a process has a shim of another guest above it.

    A guest can write the markers of another one into its environment. It
    cannot choose who started it, so the topmost shim tells whose it is.

    :param path: the folder of the guest that it is said to be of
    :param look: tells the facts of a pid
    """
    root, topmost = os.path.dirname(path), path
    while stat := look(pid):
        if main_pid(stat.name) and proc.is_ours(pid):
            found = _variables(proc.environment(pid)).get(SHIM_VARIABLE, '')
            if os.path.dirname(found) == root:
                topmost = found
        pid = stat.parent
    return topmost != path


def choose_main(look: abc.Callable[[int], proc.Stat | None],
                shim: proc.Stat | None,
                members: list[proc.Stat]) -> proc.Stat | None:
    """Return the main process of a guest; None if it has ended.

    :param look: tells the facts of a pid
    :param shim: None if it was killed: then the oldest member is taken
    :param members: live processes with the markers of the guest
    """
    if shim is not None:
        main = look(main_pid(shim.name))
        return main if (main and not main.ended and
                        main.parent == shim.process.pid) else None
    return min(members, default=None, key=lambda one: (
        one.process.start_time, one.process.pid))


def _run(main: proc.Stat, shim: proc.Stat | None,
         variables: dict[str, str]) -> state.Run:
    try:
        started_at, cgroups = json.loads(variables[RUN_VARIABLE])
    except (KeyError, ValueError):      # there is no shim
        cgroups = []
        started_at = as_text(proc.booted_at() +
                             main.process.start_time / proc.TICKS)
    return state.Run(
        boot_id=proc.boot_id(), main=main.process,
        shim=shim.process if shim else proc.NOBODY, started_at=started_at,
        cgroups=tuple(cgroups))


def _variables(environment: bytes) -> dict[str, str]:
    found = {}
    for entry in environment.split(b'\0'):
        name, _, value = entry.decode(errors='surrogateescape').partition('=')
        found[name] = value
    return found


def _record(variables: dict[str, str]) -> folder.Record | None:
    try:
        return folder.from_data(json.loads(variables[RECORD_VARIABLE]))
    except (KeyError, ValueError, exception.DriverError):
        return None
