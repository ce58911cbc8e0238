"""Launch a guest, be the parent of its processes, record how it ended.

The first process only launches. It forks the shim, connects the shim's
network, and ends when the guest runs: with code 0, or with another code and
one line on standard error.

The guest's command starts only after ``run.json`` names its process. Its
main process stays a zombie until ``exit.json`` records how it ended. Where
the kernel allows it, the shim is the first process of a process namespace:
then all others end with it.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from collections import abc

from . import console as console_module
from . import jail
from . import network
from . import system

FAILED, REFUSED = 1, 3
_CODES = {'started': 0, 'failed': FAILED, 'refused': REFUSED}


def main() -> None:
    """Launch the guest of the request; the exit code tells the result."""
    request = json.load(sys.stdin)
    launcher, shim = socket.socketpair()
    try:
        jail.enter_process_namespace(request['isolation'])
    except OSError as error:
        print(system.one_line(error), file=sys.stderr)
        sys.exit(FAILED)
    if os.fork() == 0:
        launcher.close()
        be_shim(request, shim)
    shim.close()
    code, text = launch(request, launcher)
    if text:
        print(text, file=sys.stderr)
    sys.exit(code)


def launch(request: dict, shim: socket.socket) -> tuple[int, str]:
    """Do for the shim what only the launcher can; wait until it starts.

    :returns: the exit code and a line for standard error. After a failure
        the connection ends with this process, which makes the shim give up.
    """
    for line in shim.makefile(encoding='utf-8'):
        word, _, rest = line.rstrip('\n').partition(' ')
        if word in _CODES:
            return _CODES[word], rest
        try:
            system.run_all(request['network']['host_commands'], pid=rest)
        except OSError as error:
            return FAILED, system.one_line(error)
        shim.sendall(b'go\n')
    return FAILED, 'the shim ended before the guest started'


def be_shim(request: dict, launcher: socket.socket) -> None:
    """Start the guest and record how it ends. Never returns."""
    try:
        try:
            pid, identity, console = start(request, launcher)
        except network.Refused as error:
            launcher.sendall(f'refused {system.one_line(error)}\n'.encode())
        except Exception as error:
            launcher.sendall(f'failed {system.one_line(error)}\n'.encode())
        else:
            with contextlib.suppress(OSError):    # the launcher was killed
                launcher.sendall(b'started\n')
            launcher.close()
            code = wait_for(pid)
            record_exit(request, {**identity, 'code': code,
                                  'dropped': console.finish()})
    finally:
        try:
            # In a process namespace the kernel does that when we end.
            if not request['isolation']['process_namespace']:
                end_the_rest()
        finally:
            os._exit(0)


def start(request: dict, launcher: socket.socket
          ) -> tuple[int, dict, console_module.Console]:
    """Start the guest.

    :returns: the pid of its main process as we see it, its identity as in
        ``run.json``, and its console
    """
    os.setsid()
    os.chdir('/')
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM,
                   signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(signum, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for target in range(3):
        os.dup2(nothing, target)
    system.call('prctl', system.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if request['network'] is not None:
        network.make(request['network'], launcher)
    reserve(f'{request["folder"]}/exit.json')
    console = console_module.Console(
        request['folder'], request['console_bytes'],
        request['isolation']['uid'])
    pid, gate, told = fork_main(request, console)
    host_pid = int(os.read(told, 100) or b'0')
    if not host_pid:
        raise OSError('the main process ended before its command')
    # If run.json is lost, this name still tells the main process.
    system.call('prctl', system.PR_SET_NAME, f'shim-{host_pid}'.encode(),
                0, 0, 0)
    identity = record_run(request, host_pid)
    console.start()
    os.write(gate, b'g')
    os.close(gate)
    if text := os.read(told, 1000):    # empty: exec succeeded and closed it
        raise OSError(text.decode())
    os.close(told)
    return pid, identity, console


def reserve(path: str) -> None:
    """Get the room of a record now. A full disk may be why the guest ends."""
    try:
        system.overwrite(f'{path}.tmp', b'', create=True)
    except OSError:
        if not os.path.exists(path):
            raise
        # The record of the run before is of no use any more.
        os.rename(path, f'{path}.tmp')


def record_run(request: dict, host_pid: int) -> dict:
    """Write ``run.json``; return the identity of the run."""
    identity = {'boot_id': system.boot_id(), 'pid': host_pid,
                'start_time': system.start_time(host_pid)}
    own_pid = system.host_pid()
    path = f'{request["folder"]}/run.json'
    # The file of the run before the last: "stopped" may be a link to it.
    with contextlib.suppress(FileNotFoundError):
        stopped = f'{request["folder"]}/stopped'
        if os.path.samestat(os.lstat(stopped), os.lstat(path + '.tmp')):
            os.unlink(stopped)
    system.overwrite(path + '.tmp', json.dumps({
        **identity, 'shim_pid': own_pid,
        'shim_start_time': system.start_time(own_pid),
        'started_at': request['started_at'],
        'cgroups': request['cgroups']}).encode(), create=True, durable=True)
    system.replace(path)
    with contextlib.suppress(OSError):      # the next start needs it then
        system.overwrite(path + '.tmp', b'', create=True)
    return identity


def fork_main(request: dict,
              console: console_module.Console) -> tuple[int, int, int]:
    """Fork the main process, which waits at a gate.

    :returns: its pid as we see it, and two descriptors: a byte written to
        the first opens the gate; the second gives the pid on the host, and
        after that the text of an error
    """
    gate_out, gate_in = os.pipe()
    told_out, told_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(gate_in)
            os.write(told_in, str(system.host_pid()).encode())
            if os.read(gate_out, 1):    # empty: the shim is dead
                be_main(request, console)
        except BaseException as error:
            os.write(told_in, system.one_line(error).encode())
        finally:
            os._exit(127)
    os.close(gate_out)
    os.close(told_in)
    return pid, gate_in, told_out


def be_main(request: dict, console: console_module.Console) -> None:
    """Become the guest's command. Returns only by an exception."""
    os.setsid()    # so that its "kill 0" does not reach the shim
    console.be_output()
    jail.enter(request)
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execve('/bin/sh', ['/bin/sh', '-c', request['command']],
              request['environment'])


def wait_for(main_pid: int) -> int:
    """Wait until the main process ends, and collect other dead children.

    The main process stays a zombie.

    :returns: its exit code, negative for the number of a signal
    """
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if ended is None:   # only with WNOHANG
            continue
        if ended.si_pid == main_pid:
            return (ended.si_status if ended.si_code == os.CLD_EXITED
                    else -ended.si_status)
        os.waitpid(ended.si_pid, 0)


def record_exit(request: dict, record: dict) -> None:
    """Record how the guest ended, in the space reserved for that."""
    path = f'{request["folder"]}/exit.json'
    # On any error the exit code stays unknown: the caller must still end
    # the other processes.
    with contextlib.suppress(OSError):
        system.overwrite(path + '.tmp', json.dumps(record).encode(),
                         durable=True)
        system.replace(path)


def end_the_rest() -> None:
    """Kill all descendants: each one becomes our child in the end."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in children():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


def children() -> abc.Iterator[int]:
    """Yield our children. Only we collect them, so no pid is reused."""
    mine = str(os.getpid())
    for name in os.listdir('/proc'):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if system.stat_fields(int(name))[1] == mine:
                    yield int(name)
