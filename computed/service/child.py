"""The conductor of a standalone host: a child, kept alive.

It runs in a session of its own, so that Ctrl-C reaches the host first; and it
ends at end-of-file on its standard input, so that it cannot outlive a host
that was killed.
"""

import os
import subprocess
import sys
import threading
import time

from oslo_log import log as logging

from computed import concurrency
from computed import exception

LOG = logging.getLogger(__name__)

# How a conductor ends that would fail again the same way.
CANNOT_START = 1
SHORTEST = 1.0
BACKOFF_MAX = 30.0


class ConductorChild:
    """Starts ``computed-conductor`` and restarts it whenever it dies."""

    def __init__(self, arguments, on_failure):
        """:param arguments: the configuration arguments to pass on
        :param on_failure: called with the error if it cannot be started
        """
        self._command = [sys.executable, '-m', 'computed.cmd.conductor',
                         '--child', *arguments]
        self._on_failure = on_failure
        self._stopping = threading.Event()
        self._process = None
        self._thread = threading.Thread(target=self._supervise, daemon=True,
                                        name='conductor child')

    def start(self):
        self._spawn()
        self._thread.start()

    def _spawn(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, start_new_session=True,
            # The same for both, whatever a file for one of them says.
            env={**os.environ, concurrency.VARIABLE: concurrency.chosen()})

    def _supervise(self):
        wait = SHORTEST
        while True:
            began = time.monotonic()
            code = self._process.wait()
            if self._stopping.is_set():
                return
            if code == CANNOT_START:
                self._on_failure(exception.ComputedError(
                    'The conductor could not start; it said why above.'))
                return
            if time.monotonic() - began > BACKOFF_MAX:
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
                    # No memory, no process: perhaps why it ended, too.
                    problem = f'could not be started ({error.strerror})'

    def stop(self, timeout=10):
        """End the child; forced after ``timeout`` seconds."""
        self._stopping.set()
        if self._process is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
