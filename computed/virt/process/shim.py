"""The parent of one instance's processes; it outlives the daemon.

Runs as a program of its own, with nothing but the standard library and a
request in JSON on standard input (``launch.py`` makes it). The process that
was started only launches: it forks the shim, connects its network, and ends
when the instance runs (exit code 0), or with one line on standard error.

Nothing of the instance runs before ``run.json`` says who it is; the main
process is let go only after ``exit.json`` says how it ended.
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
import time

FAILED = 1
REFUSED = 3

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_CHILD_SUBREAPER = 36
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41
# More than the record of an exit ever takes.
_EXIT_BYTES = 256


class Refused(Exception):
    """The kernel does not let us have a network of our own."""


def main():
    request = json.load(sys.stdin)
    launcher, shim = socket.socketpair()
    if os.fork() == 0:
        launcher.close()
        be_shim(request, shim)
    shim.close()
    code, said = launch(request, launcher)
    if said:
        print(said, file=sys.stderr)
    sys.exit(code)


def launch(request, shim):
    """See the shim through its start.

    :returns: exit code and a line about it. On failure the connection ends
        with us, which makes the shim give up.
    """
    for line in shim.makefile(encoding='utf-8'):
        word, _, rest = line.rstrip('\n').partition(' ')
        if word == 'started':
            return 0, None
        if word in ('failed', 'refused'):
            return (FAILED if word == 'failed' else REFUSED), rest
        try:
            run_all(request['network']['host_commands'], pid=rest)
        except OSError as error:
            return FAILED, one_line(error)
        shim.sendall(b'go\n')
    return FAILED, 'the shim ended before the instance started'


def be_shim(request, launcher):
    """Start the instance, see it end. Never returns."""
    try:
        try:
            identity = start(request, launcher)
        except Refused as error:
            launcher.sendall(f'refused {one_line(error)}\n'.encode())
        except Exception as error:
            launcher.sendall(f'failed {one_line(error)}\n'.encode())
        else:
            with contextlib.suppress(OSError):    # a launcher killed by now
                launcher.sendall(b'started\n')
            launcher.close()
            record_exit(request, identity, wait_for(identity['pid']))
    finally:
        try:
            end_the_rest()
        finally:
            os._exit(0)


def start(request, launcher):
    """Start the instance; returns who it is, as in ``run.json``."""
    os.setsid()
    os.chdir('/')
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM,
                   signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(signum, signal.SIG_IGN)
    redirect_streams(os.path.join(request['folder'], 'console.log'))
    call('prctl', _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if request['network'] is not None:
        make_network(request['network'], launcher)
    # Room for the record now: the disk may be full by then, even be the
    # reason of the end.
    write(exit_path(request) + '.tmp', b' ' * _EXIT_BYTES)
    pid, gate, errors = fork_main(request)
    identity = {'boot_id': boot_id(), 'pid': pid,
                'start_time': start_time(pid)}
    write_record(os.path.join(request['folder'], 'run.json'), {
        **identity, 'shim_pid': os.getpid(),
        'shim_start_time': start_time(os.getpid()),
        'started_at': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())})
    os.write(gate, b'g')
    os.close(gate)
    if said := os.read(errors, 1000):    # nothing: it closed by exec
        raise OSError(said.decode())
    os.close(errors)
    return identity


def redirect_streams(console):
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND
                     | os.O_NOFOLLOW, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
        # dup2 made it inheritable, as it must be
    os.close(nothing)
    os.close(output)


def make_network(network, launcher):
    """Enter a network namespace of our own and have it connected."""
    try:
        enter_network()
        raise_loopback()
    except OSError as error:
        raise Refused(f'the kernel refuses a private network: '
                      f'{error.strerror}') from error
    if network['host_commands']:
        launcher.sendall(f'unshared {os.getpid()}\n'.encode())
        if launcher.recv(16) != b'go\n':
            raise OSError('the launcher has given up')
    run_all(network['guest_commands'])


def enter_network():
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


def raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS,
                    struct.pack('16sh14x', b'lo', _IFF_UP_RUNNING))


def run_all(commands, **values):
    """Run commands, one after the other; ``{name}`` stands for a value."""
    for command in commands:
        argv = [word.format(**values) for word in command]
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False,
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)
        if result.returncode:
            said = result.stderr.decode(errors='replace')
            raise OSError(f'{" ".join(argv)}: {said}')


def fork_main(request):
    """Fork the main process, which waits at a gate.

    :returns: its pid, the gate, and where it tells that it failed
    """
    gate_out, gate_in = os.pipe()
    errors_out, errors_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(gate_in)
            if os.read(gate_out, 1):    # nothing: the shim is dead
                be_main(request)
        except BaseException as error:
            os.write(errors_in, one_line(error).encode())
        finally:
            os._exit(127)
    os.close(gate_out)
    os.close(errors_in)
    return pid, gate_in, errors_out


def be_main(request):
    """Become the instance's command. Never returns."""
    os.setsid()    # so that "kill 0" in it does not reach the shim
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
    os.chdir(os.path.join(request['folder'], 'disk'))
    os.execve('/bin/sh', ['/bin/sh', '-c', request['command']],
              request['environment'])


def wait_for(main_pid):
    """Reap whatever ends until the main process did, which is left to reap.

    :returns: its exit code, negative for a signal
    """
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if ended.si_pid == main_pid:
            return (ended.si_status if ended.si_code == os.CLD_EXITED
                    else -ended.si_status)
        os.waitpid(ended.si_pid, 0)


def record_exit(request, identity, code):
    """Write down how the instance ended, into the room kept for it."""
    text = json.dumps({**identity, 'code': code}).encode()
    path = exit_path(request)
    # Whatever fails, the rest must be ended; the code is then unknown.
    with contextlib.suppress(OSError):
        descriptor = os.open(path + '.tmp', os.O_WRONLY | os.O_NOFOLLOW)
        os.write(descriptor, text.ljust(_EXIT_BYTES))
        os.fsync(descriptor)
        os.rename(path + '.tmp', path)


def end_the_rest():
    """Kill all that descend from us; orphans become our children."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in children():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


def children():
    """Our own children: nobody else reaps them, so the pids are safe."""
    mine = str(os.getpid())
    for name in os.listdir('/proc'):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if stat_fields(name)[1] == mine:
                    yield int(name)


def stat_fields(pid):
    """``/proc/PID/stat`` from its third field on."""
    with open(f'/proc/{pid}/stat', encoding='utf-8',
              errors='replace') as file:
        return file.read().rpartition(')')[2].split()


def start_time(pid):
    return int(stat_fields(pid)[19])


def boot_id():
    with open('/proc/sys/kernel/random/boot_id') as file:
        return file.read().strip()


def exit_path(request):
    return os.path.join(request['folder'], 'exit.json')


def write_record(path, value):
    write(path + '.tmp', json.dumps(value).encode())
    os.rename(path + '.tmp', path)


def write(path, data):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                         | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def call(name, *arguments):
    """Call a function of the C library."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def one_line(error):
    """What happened, for people."""
    text = getattr(error, 'strerror', None) or str(error) or repr(error)
    if where := getattr(error, 'filename', None):
        text = f'{text} ({where})'
    return ' '.join(text.split())


if __name__ == '__main__':
    main()
