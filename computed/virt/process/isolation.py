"""Find out how well this host can shut guests in, and choose their user ids.

The kernel, a container or an option may refuse some of it. What is missing is
said once, when the driver starts; a guest is never started with less than
that without an error.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pwd
import subprocess
import sys
import typing
import urllib.parse
import uuid
from collections import abc

from oslo_config import cfg

from computed import exception
from computed import files
from computed.virt.process import cgroups
from computed.virt.process import proc
from computed.virt.process import shim

_TRIAL_SECONDS = 30
_DISK = 'The size of their disks is not kept.'


@dataclasses.dataclass(frozen=True)
class Isolation:
    """What a guest of this daemon gets.

    :ivar uids: from which each guest gets one; None: the daemon's own
    :ivar unprivileged: whether guests have no capabilities
    :ivar user_namespace: whether the other namespaces need one of users
    :ivar own_proc: whether /proc shows a guest its own processes only
    :ivar hierarchies: of control groups that we can use
    :ivar missing: what this host cannot give, as text for an operator
    :ivar refusal: why no guest may be started at all
    """

    uids: range | None
    unprivileged: bool = True
    user_namespace: bool = False
    process_namespace: bool = False
    ipc_namespace: bool = False
    mount_namespace: bool = False
    own_proc: bool = False
    hierarchies: tuple[cgroups.Hierarchy, ...] = ()
    missing: tuple[str, ...] = ()
    refusal: str = ''

    @property
    def controllers(self) -> frozenset[str]:
        """Return the limits that control groups keep here."""
        return frozenset().union(
            *(one.controllers for one in self.hierarchies))

    def for_shim(self, uid: int | None) -> dict[str, typing.Any]:
        """Return the part of the shim's request.

        :param uid: of the guest
        """
        return {'uid': uid, **{name: getattr(self, name) for name in (
            'unprivileged', 'user_namespace', 'process_namespace',
            'ipc_namespace', 'mount_namespace', 'own_proc')}}

    def describe(self) -> str:
        """Return one line for the log and ``computed-status``."""
        if self.missing or self.uids is None:
            return ('Guests are not fully shut in: '
                    f'{"; ".join(self.missing)}. {_DISK}')
        return ('Each guest has a user id of its own '
                f'({self.uids[0]}-{self.uids[-1]}), no capabilities, and its '
                f'own mounts, processes and IPC. {_DISK}')


def parse_uids(text: str) -> range:
    """Return the range of ``[process] guest_uids``."""
    first, last = map(int, text.split('-'))
    return range(first, last + 1)


def choose_uid(uids: range, instance_uuid: str,
               taken: abc.Container[int]) -> int:
    """Choose the user id of a guest. Pure, but for the names of users.

    :param taken: ids that are in use
    :raises computed.exception.DriverError: all are in use
    """
    first = uuid.UUID(instance_uuid).int % len(uids)
    for step in range(len(uids)):
        uid = uids[(first + step) % len(uids)]
        if uid not in taken and not _has_name(uid):
            return uid
    raise exception.DriverError(
        reason='no user id is left for a guest; widen [process] guest_uids')


def _has_name(uid: int) -> bool:
    # Where systemd has a dynamic user, this finds it too.
    with contextlib.suppress(KeyError):
        pwd.getpwuid(uid)
        return True
    return False


def running_uids() -> set[int]:
    """Return the users of all processes."""
    found = set()
    for pid in proc.pids():
        with contextlib.suppress(OSError):
            found.add(os.stat(f'/proc/{pid}').st_uid)
    return found


def hidden_paths(conf: cfg.ConfigOpts) -> list[str]:
    """Return what no guest may see: state, sockets, configuration.

    None lies inside another one.
    """
    paths = {os.path.abspath(conf.state_path)}
    # Only the service registers it.
    url = urllib.parse.urlsplit(
        'transport_url' in conf and conf.transport_url or '')
    if url.scheme == 'unix' and url.path.strip('/'):
        paths.add(os.path.abspath(url.path))
    paths.update(map(os.path.abspath, conf.config_file or ()))
    paths.update(map(os.path.abspath, conf.config_dir or ()))
    real = {os.path.realpath(path) for path in paths} - {'/'}
    return sorted(path for path in real if not any(
        path.startswith(f'{other}/') for other in real))


def measure(conf: cfg.ConfigOpts) -> Isolation:
    """Try what this host allows.

    :raises computed.exception.DriverNotReady: the trial failed
    """
    uids = parse_uids(conf.process.guest_uids)
    root = os.geteuid() == 0
    return decide(try_all(uids[0] if root else None),
                  uids if root else None, conf.process.guests_run_as_root,
                  cgroups.find())


def decide(errors: abc.Mapping[str, str | None], uids: range | None,
           as_root: bool, hierarchies: tuple[cgroups.Hierarchy, ...],
           ) -> Isolation:
    """Decide what guests get. Pure.

    :param errors: by trial; None: it succeeded
    :param uids: None if the daemon is not root
    :param as_root: the option ``guests_run_as_root``
    """
    as_root = as_root and uids is not None
    processes = not errors['process_namespace']
    # A mount namespace would only be in the way of a guest that can leave it.
    own_proc = processes and not as_root and not errors['own_proc']
    mounts = own_proc or (not as_root and not errors['mount_namespace'])
    ipc = not errors['ipc_namespace']
    own_uid = uids is not None and not as_root and not errors['user']
    found = Isolation(
        uids=uids if own_uid else None, unprivileged=not as_root,
        user_namespace=uids is None and (processes or mounts or ipc),
        process_namespace=processes, ipc_namespace=ipc,
        mount_namespace=mounts, own_proc=own_proc, hierarchies=hierarchies,
        refusal='' if own_uid or as_root or uids is None else
        f'it cannot get a user id of its own here ({errors["user"]}); to run '
        'guests as root, set [process] guests_run_as_root')
    return dataclasses.replace(found, missing=tuple(
        _missing(found, errors, uids is not None, as_root)))


def _missing(found: Isolation, errors: abc.Mapping[str, str | None],
             root: bool, as_root: bool) -> abc.Iterator[str]:
    if as_root:
        yield ('they run as root with all capabilities, because [process] '
               'guests_run_as_root is set')
    elif not root:
        yield (f'they run as the user of the daemon (uid {os.geteuid()}), '
               'because only root can give each guest a user id of its own')
    elif not found.uids:
        yield f'none can be started: {found.refusal}'
    for name, text in (
            ('process_namespace', 'no process namespaces'),
            ('ipc_namespace', 'no IPC namespaces'),
            ('mount_namespace', 'no mount namespaces, so they see the files '
                                'of the host that their user may read')):
        if not getattr(found, name) and errors[name]:
            yield f'{text} ({errors[name]})'
    if found.mount_namespace and not found.own_proc:
        yield ('they see the processes of the host '
               f'({errors["own_proc"] or errors["process_namespace"]})')
    if lacking := [name for name in cgroups.LIMITED
                   if name not in found.controllers]:
        yield f'no control groups that limit {", ".join(lacking)}'


@functools.cache
def try_all(uid: int | None) -> dict[str, str | None]:
    """Return the error of each trial of the shim; None: it is allowed.

    :param uid: a user id to become; None: we are not root
    :raises computed.exception.DriverNotReady: the shim does not run
    """
    request = json.dumps({'uid': uid})
    try:
        result = subprocess.run(
            [sys.executable, '-S', '-E', '-P', program(), 'trial'],
            input=request, check=True, capture_output=True, encoding='utf-8',
            errors='replace', timeout=_TRIAL_SECONDS, cwd='/')
        return json.loads(result.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        text = getattr(error, 'stderr', None) or str(error)
        raise exception.DriverNotReady(
            reason='the trial of namespaces failed: '
                   f'{text.strip().splitlines()[-1]}') from error


def program() -> str:
    """Return the path of the shim."""
    return files.below(os.path.dirname(shim.__file__), '__main__.py')
