"""The conductor of a standalone host: a child process, kept running.

It runs in a session of its own, so that Ctrl-C reaches the host first. It
ends at end-of-file on its standard input, so that it does not outlive a host
that was killed.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import abc

from oslo_log import log as logging

from computed import clock
from computed import concurrency
from computed import exception
from computed.service import notify
from computed.service import signals

LOG = logging.getLogger(__name__)

# The exit status of a conductor that would fail again in the same way.
CANNOT_START = 1
# Seconds before a restart: the first and the longest wait.
SHORTEST = 1.0
BACKOFF_MAX = 30.0


class ConductorChild:
    """Starts ``computed-conductor`` and restarts it each time it dies."""

    def __init__(self, arguments: abc.Sequence[str],
                 on_failure: abc.Callable[[Exception], object]) -> None:
        """:param arguments: the configuration arguments to pass on
        :param on_failure: called with the error if it cannot be started
        """
        # -P: the current folder may have modules of somebody else.
        self._command = [sys.executable, '-P', '-m',
                         'computed.cmd.conductor', '--child', *arguments]
        self._on_failure = on_failure
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = concurrency.thread('conductor child', self._supervise)

    def start(self) -> None:
        """Start the conductor and the thread that watches it."""
        self._spawn()
        self._thread.start()

    def _spawn(self) -> None:
        # What systemd waits for is told by this process alone.
        environment = {name: value for name, value in os.environ.items()
                       if name != notify.VARIABLE}
        # Both use one backend, even if a file for one names another.
        environment[concurrency.VARIABLE] = concurrency.chosen()
        with signals.held_back():
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, start_new_session=True,
                env=environment)

    def _supervise(self) -> None:
        wait = SHORTEST
        while True:
            began = clock.monotonic()
            code = self._process.wait()
            if self._stopping.is_set():
                return
            if code == CANNOT_START:
                self._on_failure(exception.ComputedError(
                    'The conductor could not start. It printed the reason '
                    'above.'))
                return
            if clock.monotonic() - began > BACKOFF_MAX:
                wait = SHORTEST
            problem, before = f'ended (status {code})', self._process
            while self._process is before:
                LOG.warning('The conductor %(problem)s; starting it again '
                            'in %(wait).0f s.',
                            {'problem': problem, 'wait': wait})
                if self._stopping.wait(wait):
                    return
                wait = min(wait * 2, BACKOFF_MAX)
                try:
                    self._spawn()
                except OSError as error:
                    # No memory for a process; it may have ended for the
                    # same reason.
                    problem = f'could not be started ({error.strerror})'

    def reload(self) -> None:
        """Let the conductor use the changed configuration."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def stop(self, timeout: float = 10) -> None:
        """End the child; kill it after ``timeout`` seconds."""
        self._stopping.set()
        if self._process is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
