"""Run a program of ours in a fork of a process that has imported it all.

To start Python and to import everything takes a second of one core, most of
what a test of a program costs. The fork is a process of its own with its own
arguments, files and signals; it runs the same ``__main__``. What it does not
prove is that a program imports what it needs, on which backend
and in which order: tests of that start Python (``fixtures.Program`` with
``fresh=True``).
"""

import atexit
import collections.abc
import contextlib
import functools
import gc
import importlib
import json
import os
import pathlib
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

# What a process that forks has imported.
EVERYTHING, LIBRARIES_ONLY = 'everything', 'libraries'
ROOT = pathlib.Path(__file__).parents[2]
# A process that forks and is not started yet, see _make_own.
INHERITED = 'COMPUTED_TESTS_PREFORK'
# They run as __main__, or alone.
NOT_IMPORTED = ('computed.cmd.', 'computed.virt.process.shim',
                'computed.db.cell.migrations.')
LIBRARIES = (
    'alembic.command', 'cliff.formatters.table',
    'oslo_messaging._drivers.impl_rabbit', 'psycopg', 'pymysql',
    'sqlalchemy.dialects.mysql.pymysql',
    'sqlalchemy.dialects.postgresql.psycopg',
    'sqlalchemy.dialects.sqlite.pysqlite')
# Of tests, and what modules of computed import.
MORE_LIBRARIES = (
    'cliff.app', 'cliff.lister', 'oslo_db.sqlalchemy.enginefacade',
    'oslo_log.log', 'oslo_messaging.conffixture', 'oslo_messaging.rpc',
    'oslo_upgradecheck.upgradecheck', 'oslo_versionedobjects.base',
    'prometheus_client', 'psutil', 'pytest', 'trustme')
OTHERS = ('computed.cmd.setup', 'computed.cmd.manage.app',
          'tests.support.fixtures')


# How to end each process that forks.
_ends: list[collections.abc.Callable[[], None]] = []


class Process:
    """The part of ``subprocess.Popen`` that tests of programs use."""

    def __init__(self, pid, status):
        """:param status: a pipe that tells how it ended"""
        self.pid = pid
        self.returncode = None
        self._status = status

    def poll(self):
        return self._look(0)

    def wait(self, timeout=None):
        if self._look(timeout) is None:
            raise subprocess.TimeoutExpired(f'process {self.pid}', timeout)
        return self.returncode

    def _look(self, seconds):
        if self.returncode is None and select.select(
                [self._status], [], [], seconds)[0]:
            self.returncode = int(os.read(self._status, 16))
            os.close(self._status)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            # It may have ended, and its parent may not have told it yet.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def start(module, arguments, output, errors, environment=None, folder=None):
    """Run ``python -P -m module`` with ``arguments`` in a fork.

    :param output: a file for what it writes, ``errors`` one for errors
    :param environment: all of its variables; None: those of this process.
        Some are read at the import, which was before.
    :param folder: a copy of this tree to run in; the fork imports computed
        and the tests from there, and only libraries were imported before.
        None: the current folder, and everything was.
    """
    status, end = os.pipe()
    request = json.dumps({
        'module': module, 'arguments': [str(word) for word in arguments],
        'environment': dict(
            os.environ if environment is None else environment),
        'folder': str(folder or os.getcwd())}).encode()
    connection, lock = _template(LIBRARIES_ONLY if folder else EVERYTHING)
    with lock:
        socket.send_fds(connection, [len(request).to_bytes(4, 'big')],
                        [output.fileno(), errors.fileno(), end])
        connection.sendall(request)
        os.close(end)
        pid = int.from_bytes(connection.recv(4), 'big')
    return Process(pid, status)


def run(module, *arguments, timeout=360, environment=None, folder=None):
    """Run it to its end, as ``subprocess.run`` with its output as text."""
    with tempfile.TemporaryFile('w+') as output, \
            tempfile.TemporaryFile('w+') as errors:
        process = start(module, arguments, output, errors, environment,
                        folder)
        try:
            process.wait(timeout)
        finally:
            process.kill()
        for file in (output, errors):
            file.seek(0)
        return subprocess.CompletedProcess(
            [module, *arguments], process.returncode, output.read(),
            errors.read())


@atexit.register
def end():
    """End the processes that fork. The next need makes new ones."""
    _template.cache_clear()
    while _ends:
        _ends.pop()()


@functools.cache
def _template(kind):
    """The process that forks, made at the first need."""
    if kind == EVERYTHING and INHERITED in os.environ:
        return (socket.socket(fileno=int(os.environ.pop(INHERITED))),
                threading.Lock())
    ours, theirs = socket.socketpair()
    process = subprocess.Popen([sys.executable, '-m', __name__, kind],
                               stdin=theirs)
    theirs.close()

    def end_this():
        ours.close()
        process.wait()
    _ends.append(end_this)
    return ours, threading.Lock()


# -- in the process that forks

def _serve(kind):
    """Fork for each request; returns in the fork, with what it shall run."""
    # Before eventlet replaces it: no hub of eventlet may exist before a fork.
    connection = socket.socket(fileno=os.dup(0))
    connection.setblocking(True)    # who asks may have replaced it
    if not connection.recv(1, socket.MSG_PEEK):
        raise EOFError
    if kind == EVERYTHING:
        _import_everything()
    else:
        _import_libraries()
    # Else each fork would look at all of this when it ends, and so copy it:
    # that takes five times as long as to run a short program.
    gc.collect()
    gc.freeze()
    # The kernel forgets those who ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        header, (output, errors, status), _, _ = socket.recv_fds(
            connection, 4, 3)
        request = json.loads(connection.recv(
            int.from_bytes(header, 'big'), socket.MSG_WAITALL))
        if not os.fork():
            return _fork(kind, connection, request, output, errors, status)
        for found in (output, errors, status):
            os.close(found)


def _import_everything():
    importlib.import_module('computed.cmd')    # chooses the backend
    import computed
    for found in pkgutil.walk_packages(computed.__path__, 'computed.',
                                       onerror=lambda name: None):
        if not found.name.startswith(NOT_IMPORTED):
            importlib.import_module(found.name)
    for name in (*OTHERS, *LIBRARIES):
        importlib.import_module(name)
    from stevedore import named
    # Makes the library read once which drivers are installed.
    named.NamedExtensionManager('oslo.messaging.drivers', names=['rabbit'])
    # Makes a copy of the library's options once.
    importlib.import_module('tests.support.fixtures').make_conf('/')
    assert threading.active_count() == 1, threading.enumerate()


def _import_libraries():
    """Import no module of this tree that the fork shall find in a copy."""
    importlib.import_module('computed.concurrency').choose()
    for name in (*LIBRARIES, *MORE_LIBRARIES):
        importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()
    for name in list(sys.modules):
        if name.partition('.')[0] in ('computed', 'tests'):
            del sys.modules[name]
    sys.path[:] = [path for path in sys.path if path != str(ROOT)]


def _make_own(folder):
    """Be in a copy of the tree, with a process of its own that forks.

    That one imports something only if it is needed.

    :returns: whether this is that process
    """
    sys.path.insert(0, folder)
    ours, theirs = socket.socketpair()
    if os.fork():
        os.environ[INHERITED] = str(ours.detach())
        return False
    os.dup2(theirs.fileno(), 0)
    ours.close()
    sys.argv = [__name__, EVERYTHING]
    return True


def _fork(kind, connection, request, output, errors, status):
    """Make one more fork, which runs it; tell how that ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid:
        os.close(output)
        os.close(errors)
        connection.sendall(pid.to_bytes(4, 'big'))
        connection.close()
        os.close(0)
        # eventlet would ask again and again for waitpid
        _, ended, _ = os.wait4(pid, 0)
        os.write(status, b'%d' % os.waitstatus_to_exitcode(ended))
        os._exit(0)
    connection.close()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    for found in (output, errors, status):
        os.close(found)
    os.chdir(request['folder'])
    os.environ.clear()
    os.environ.update(request['environment'])
    time.tzset()
    if kind == LIBRARIES_ONLY and _make_own(request['folder']):
        return 'tests.support.prefork'
    sys.argv = [request['module'], *request['arguments']]
    return request['module']


if __name__ == '__main__':
    try:
        module = _serve(sys.argv[1])
    except (EOFError, ValueError, OSError):      # who asks has ended
        sys.exit()
    runpy.run_module(module, run_name='__main__', alter_sys=True)
