"""Try what the kernel allows here; print the errors as JSON.

Each trial runs in a process of its own, so that none affects the next.
"""

import functools
import json
import os
import sys
import tempfile
from collections import abc

from . import jail
from . import system
from . import volumes


def main() -> None:
    """Run the trials of the request on standard input.

    The output has an error for each, or null.
    """
    request = json.load(sys.stdin)
    print(json.dumps(run(request['uid'])))


def run(uid: int | None) -> dict[str, str | None]:
    """Return the error of each trial; None: it is allowed.

    :param uid: a user id to become; None: we are not root
    """
    isolation = {'user_namespace': uid is None, 'process_namespace': True}
    found = {
        'user': _tried(lambda: jail.give_up_privileges(uid)),
        'process_namespace': _tried(lambda: _in_process_namespace(
            isolation, lambda: None))}
    isolation['process_namespace'] = not found['process_namespace']

    def trial(job: abc.Callable[[], object]) -> str | None:
        return _tried(lambda: _in_process_namespace(isolation, job))

    found['ipc_namespace'] = trial(
        lambda: system.call('unshare', system.CLONE_NEWIPC))
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f'{folder}/disk')
        os.mkdir(f'{folder}/{volumes.FOLDER}')
        for name, own_proc in (('own_proc', True),
                               ('mount_namespace', False)):
            found[name] = trial(functools.partial(
                jail.enter_mounts, folder, [], 0, own_proc, []))
    return found


def _in_process_namespace(isolation: dict,
                          job: abc.Callable[[], object]) -> None:
    jail.enter_process_namespace(isolation)
    if error := _tried(job):
        raise OSError(error)


def _tried(job: abc.Callable[[], object]) -> str | None:
    """Run the job in a child; return the text of its error."""
    output, input_ = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            job()
        except BaseException as error:
            os.write(input_, system.one_line(error).encode() or b'?')
        finally:
            os._exit(0)
    os.close(input_)
    with open(output, encoding='utf-8', errors='replace') as file:
        text = file.read()
    os.waitpid(pid, 0)
    return text or None
