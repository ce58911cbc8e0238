"""The parent of one guest's processes. It outlives the daemon.

This file is a program that runs alone: it imports only the standard library,
and reads a request in JSON from standard input (``launch.py`` writes it). The
first process only launches. It forks the shim, connects the shim's network,
and ends when the guest runs: with code 0, or with another code and one line
on standard error.

The guest's command starts only after ``run.json`` names its process. Its
main process stays a zombie until ``exit.json`` records how it ended.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
from collections import abc

FAILED, REFUSED = 1, 3
_CODES = {'started': 0, 'failed': FAILED, 'refused': REFUSED}

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41
# The record of an exit is shorter.
_EXIT_BYTES = 256
_EXISTING = os.O_WRONLY | os.O_NOFOLLOW
_NEW = _EXISTING | os.O_CREAT | os.O_TRUNC


class Refused(Exception):
    """The kernel refuses a private network."""


def main() -> None:
    """Launch the guest of the request; the exit code tells the result."""
    request = json.load(sys.stdin)
    launcher, shim = socket.socketpair()
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
            run_all(request['network']['host_commands'], pid=rest)
        except OSError as error:
            return FAILED, one_line(error)
        shim.sendall(b'go\n')
    return FAILED, 'the shim ended before the guest started'


def be_shim(request: dict, launcher: socket.socket) -> None:
    """Start the guest and record how it ends. Never returns."""
    try:
        try:
            identity = start(request, launcher)
        except Refused as error:
            launcher.sendall(f'refused {one_line(error)}\n'.encode())
        except Exception as error:
            launcher.sendall(f'failed {one_line(error)}\n'.encode())
        else:
            with contextlib.suppress(OSError):    # the launcher was killed
                launcher.sendall(b'started\n')
            launcher.close()
            record_exit(request, identity, wait_for(identity['pid']))
    finally:
        try:
            end_the_rest()
        finally:
            os._exit(0)


def start(request: dict, launcher: socket.socket) -> dict:
    """Start the guest and return its identity, as in ``run.json``."""
    os.setsid()
    os.chdir('/')
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM,
                   signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(signum, signal.SIG_IGN)
    redirect_streams(f'{request["folder"]}/console.log')
    call('prctl', _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if request['network'] is not None:
        make_network(request['network'], launcher)
    # Reserve the space of the exit record now. A full disk may be the reason
    # why the guest ends.
    write(f'{request["folder"]}/exit.json.tmp', b' ' * _EXIT_BYTES)
    pid, gate, errors = fork_main(request)
    # If run.json is lost, this name still tells the main process.
    call('prctl', _PR_SET_NAME, f'shim-{pid}'.encode(), 0, 0, 0)
    identity = {'boot_id': boot_id(), 'pid': pid,
                'start_time': start_time(pid)}
    path = f'{request["folder"]}/run.json'
    write(path + '.tmp', json.dumps({
        **identity, 'shim_pid': os.getpid(),
        'shim_start_time': start_time(os.getpid()),
        'started_at': request['started_at']}).encode())
    os.rename(path + '.tmp', path)
    os.write(gate, b'g')
    os.close(gate)
    if text := os.read(errors, 1000):    # empty: exec succeeded and closed it
        raise OSError(text.decode())
    os.close(errors)
    return identity


def redirect_streams(console: str) -> None:
    """Read from /dev/null, and write to the console, from now on."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND
                     | os.O_NOFOLLOW, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)     # the guest inherits the copy
    os.close(nothing)
    os.close(output)


def make_network(network: dict, launcher: socket.socket) -> None:
    """Enter a new network namespace and have the launcher connect it."""
    try:
        enter_network()
        raise_loopback()
    except OSError as error:
        raise Refused(f'the kernel refuses a private network: '
                      f'{error.strerror}') from error
    if network['host_commands']:
        launcher.sendall(f'unshared {os.getpid()}\n'.encode())
        if launcher.recv(16) != b'go\n':
            raise OSError('the launcher gave up')
    run_all(network['guest_commands'])


def enter_network() -> None:
    """Enter a new network namespace; without root, a user namespace too."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        call('unshare', _CLONE_NEWNET)
        return
    call('unshare', _CLONE_NEWUSER | _CLONE_NEWNET)
    for name, text in (('setgroups', 'deny'),
                       ('uid_map', f'{uid} {uid} 1'),
                       ('gid_map', f'{gid} {gid} 1')):
        with open(f'/proc/self/{name}', 'w') as file:
            file.write(text)


def raise_loopback() -> None:
    """Set the loopback interface of this namespace up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS,
                    struct.pack('16sh14x', b'lo', _IFF_UP_RUNNING))


def run_all(commands: list[list[str]], **values: str) -> None:
    """Run commands in order; ``{name}`` in a word stands for a value."""
    for command in commands:
        argv = [word.format(**values) for word in command]
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False,
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)
        if result.returncode:
            text = result.stderr.decode(errors='replace')
            raise OSError(f'{" ".join(argv)}: {text}')


def fork_main(request: dict) -> tuple[int, int, int]:
    """Fork the main process, which waits at a gate.

    :returns: its pid, and two descriptors: a byte written to the first opens
        the gate; the second gives the text of an error
    """
    gate_out, gate_in = os.pipe()
    errors_out, errors_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(gate_in)
            if os.read(gate_out, 1):    # empty: the shim is dead
                be_main(request)
        except BaseException as error:
            os.write(errors_in, one_line(error).encode())
        finally:
            os._exit(127)
    os.close(gate_out)
    os.close(errors_in)
    return pid, gate_in, errors_out


def be_main(request: dict) -> None:
    """Become the guest's command. Returns only by an exception."""
    os.setsid()    # so that its "kill 0" does not reach the shim
    if request['cpus']:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, request['cpus'])
    if request['memory_bytes']:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS,
                               (request['memory_bytes'],) * 2)
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)     # the daemon's own is for its files
    os.chdir(f'{request["folder"]}/disk')
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


def record_exit(request: dict, identity: dict, code: int) -> None:
    """Record how the guest ended, in the space reserved for that."""
    text = json.dumps({**identity, 'code': code}).encode()
    path = f'{request["folder"]}/exit.json'
    # On any error the exit code stays unknown: the caller must still end
    # the other processes.
    with contextlib.suppress(OSError):
        write(path + '.tmp', text.ljust(_EXIT_BYTES), _EXISTING)
        os.rename(path + '.tmp', path)


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
                if stat_fields(int(name))[1] == mine:
                    yield int(name)


def stat_fields(pid: int) -> list[str]:
    """Return ``/proc/PID/stat`` from its third field on."""
    with open(f'/proc/{pid}/stat', encoding='utf-8',
              errors='replace') as file:
        return file.read().rpartition(')')[2].split()


def start_time(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot."""
    return int(stat_fields(pid)[19])


def boot_id() -> str:
    """Return the id of the current boot."""
    with open('/proc/sys/kernel/random/boot_id') as file:
        return file.read().strip()


def write(path: str, data: bytes, flags: int = _NEW) -> None:
    """Write the data to a file and to the disk."""
    with open(os.open(path, flags, 0o600), 'wb', buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())


def call(name: str, *arguments: int | bytes) -> None:
    """Call a function of the C library."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def one_line(error: BaseException) -> str:
    """Return the text of an error as one line."""
    text = getattr(error, 'strerror', None) or str(error) or repr(error)
    if where := getattr(error, 'filename', None):
        text = f'{text} ({where})'
    return ' '.join(text.split())


if __name__ == '__main__':
    main()
