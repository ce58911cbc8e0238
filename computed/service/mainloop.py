"""The main thread of a program: signals, and an orderly start and end.

Under native threads, oslo.service's launchers answer SIGHUP by ending their
workers or not at all. This loop answers it by a reload.
"""

import faulthandler
import math
import os
import signal
import threading
import typing
from collections import abc

from oslo_config import cfg
from oslo_log import log as oslo_logging

from computed import clock
from computed import concurrency
from computed import conf as computed_conf
from computed import exception
from computed.conf import shown
from computed.conf import validation
from computed.logs import printable
from computed.rpc import options
from computed.service import late_options
from computed.service import notify
from computed.service import signals
from computed.service.output import log_writers
from computed.service.output import outlet
from computed.service.output import reports

LOG = oslo_logging.getLogger(__name__)
# Seconds from the end of the time for a shutdown until the process is killed.
LAST = 2
# The file descriptor of standard error.
STDERR = 2
# Seconds in which a second signal means the same as the first: a terminal, or
# timeout(1), sends one to the process and one to its group.
SAME = 0.5
# Seconds that a start which was given up gets to return.
STARTING = 5


class Service(typing.Protocol):
    """What the main loop runs.

    ``start`` may take long; it returns soon after ``stop`` was called.
    """

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def reload(self) -> None: ...


def read_again(conf: cfg.ConfigOpts,
               warn: abc.Callable[[str], object] = str) -> cfg.ConfigOpts:
    """Return what the configuration files say now.

    :param warn: see :func:`computed.service.late_options.check`
    :raises computed.exception.ConfigError: a value is not usable
    """
    fresh = cfg.ConfigOpts()
    oslo_logging.register_options(fresh)
    computed_conf.register_opts(fresh)
    options.register_opts(fresh)
    fresh([], default_config_files=conf.config_file or [],
          default_config_dirs=conf.config_dir or [])
    validation.check(fresh)
    late_options.check(fresh, conf.prog, warn)
    return fresh


class MainLoop:
    """Runs one service until a signal or the service ends it."""

    def __init__(self, conf: cfg.ConfigOpts, service: Service) -> None:
        """It must be made in the main thread."""
        self.conf = conf
        self.service = service
        self._inbox = signals.Inbox()
        self._failure: Exception | None = None
        self._wants_end = False
        self._insists_after = math.inf
        self._over = False
        self._ending = False
        self._clean = True
        # What runs now in a thread of its own, and must not run twice.
        self._busy: set[str] = set()
        # Guards what systemd is told: nothing after the end has begun.
        self._telling = threading.Lock()
        self._started = False
        self._told_end = False

    def run(self) -> typing.NoReturn:
        """Start the service, obey signals, never return.

        The process ends with status 0. It ends with 1 after a failed start
        or if the end takes too long. A second signal ends it at once.

        The main thread does nothing that could block. So it can always end
        the process.
        """
        self._inbox.listen()
        self._starting = self._thread('start', self._start)
        while not self._over:
            self._inbox.wait()
            self._obey()
        self._exit(0 if self._clean and self._failure is None else 1)

    def _obey(self) -> None:
        """Obey what came since the last time; the end comes first."""
        if self._inbox.take(signal.SIGTERM, signal.SIGINT):
            now = clock.monotonic()
            if now > self._insists_after:
                LOG.warning('Told to end a second time: ending now.')
                self._exit(1)
            self._insists_after = min(self._insists_after, now + SAME)
            self._wants_end = True
        if self._wants_end and not self._ending:
            self._end()
        self._inbox.take(signal.SIGUSR1)
        self._unless_busy('report', self._report, signal.SIGUSR2)
        if not self._ending:
            self._unless_busy('reload', self._reload, signal.SIGHUP)

    def _unless_busy(self, name: str, target: abc.Callable[[], object],
                     number: int) -> None:
        """Run ``target`` for a signal; if it runs now, run it afterwards."""
        if name not in self._busy and self._inbox.take(number):
            self._busy.add(name)
            self._thread(name, self._once, name, target)

    def _once(self, name: str, target: abc.Callable[[], object]) -> None:
        try:
            target()
        finally:
            self._busy.discard(name)
            self._inbox.wake()

    def end(self, failure: Exception | None = None) -> None:
        """End the service from one of its threads.

        :param failure: the error to report, or None
        """
        self._failure = self._failure or failure
        self._wants_end = True
        self._inbox.wake()

    @staticmethod
    def _thread(name: str, target: abc.Callable[..., object],
                *args: object) -> concurrency.Thread:
        thread = concurrency.thread(name, target, *args)
        thread.start()
        return thread

    def _tell(self, **values: object) -> None:
        """Tell systemd, unless it knows that the service ends."""
        with self._telling:
            if not self._told_end:
                self._told_end = 'STOPPING' in values
                notify.notify(**values)

    def _start(self) -> None:
        try:
            self.service.start()
        except Exception as error:
            if self._ending:
                return      # parts that it needs have ended already
            if not isinstance(error, exception.ComputedError):
                LOG.exception('The service could not be started.')
            self.end(error)
        else:
            self._started = True
            self._tell(READY=1, STATUS='running')

    def _reload(self) -> None:
        if self._inbox.terminal_is_gone():
            LOG.warning('The terminal was closed: ending.')
            self.end()
            return
        # To a service that starts, READY=1 would mean that it has started.
        started = self._started
        if started:
            self._tell(RELOADING=1, MONOTONIC_USEC=int(
                clock.monotonic() * 1e6))
        try:
            read_again(self.conf, LOG.warning)
            with log_writers.kept():
                self.conf.mutate_config_files()
            log_writers.prepare(self.conf)
            self.service.reload()
        except Exception as error:      # the old configuration stays
            problem = str(shown.explained(error))
        else:
            problem = None
        if problem:
            LOG.error('The configuration is left as it was: %s', problem)
        else:
            LOG.info('Configuration reloaded.')
        if started:
            self._tell(READY=1)

    def _report(self) -> None:
        try:
            LOG.info('Wrote a report to %s.', reports.write(self.conf))
        except Exception as error:
            LOG.exception('No report could be written: %s', error)

    def _end(self) -> None:
        self._ending = True
        if timeout := self.conf.graceful_shutdown_timeout:
            # This is for the case that no thread of this process can run:
            # native code, or a native wait under eventlet, does not return.
            # Nor may standard error take the dump, so the kernel is last.
            # A number: of a stream it would ask a flush, which waits for the
            # thread that writes there.
            faulthandler.dump_traceback_later(
                timeout + LAST, exit=True, file=STDERR)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(timeout + 2 * LAST)
        self._thread('stop', self._stop)
        self._thread('stop deadline', self._enforce)

    def _stop(self) -> None:
        self._tell(STOPPING=1)
        try:
            self.service.stop()
        except Exception:
            self._clean = False
            LOG.exception('The service could not be stopped in order.')
        self._starting.join(STARTING)
        self._over = True
        self._inbox.wake()

    def _enforce(self) -> None:
        timeout = self.conf.graceful_shutdown_timeout
        if timeout:
            threading.Event().wait(timeout)
            LOG.warning('The end took more than %s s: ending now.', timeout)
            self._exit(1)

    def _exit(self, code: int) -> typing.NoReturn:
        """End the process; wait for no more than what is written soon."""
        if self._failure is not None:
            outlet.to_stderr(
                f'{self.conf.prog}: {printable.escaped(self._failure)}')
        outlet.drain()
        # Not sys.exit: a thread stuck in a driver must not hold the process.
        os._exit(code)
