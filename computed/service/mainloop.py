"""The main thread of a program: signals, and an orderly start and end.

Under native threads, oslo.service's launchers answer SIGHUP by ending their
workers or not at all. This loop answers it by a reload.
"""

import faulthandler
import logging
import os
import select
import signal
import sys
import threading
import typing
from collections import abc

from oslo_config import cfg
from oslo_log import log as oslo_logging

from computed import concurrency
from computed import conf as computed_conf
from computed import exception
from computed.conf import shown
from computed.conf import validation
from computed.logs import printable
from computed.rpc import options
from computed.service import notify
from computed.service import terminal

LOG = oslo_logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Bytes that are not signals: a thread of this process wants attention.
WAKE, ENDED = 0, 255
# Seconds from the end of the time for a shutdown until the process is killed.
LAST = 2


class Service(typing.Protocol):
    """What the main loop runs.

    ``start`` may take long; it returns soon after ``stop`` was called.
    """

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def reload(self) -> None: ...


def read_again(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """Return what the configuration files say now.

    :raises computed.exception.ConfigError: a value is not usable
    """
    fresh = cfg.ConfigOpts()
    oslo_logging.register_options(fresh)
    computed_conf.register_opts(fresh)
    options.register_opts(fresh)
    fresh([], default_config_files=conf.config_file or [],
          default_config_dirs=conf.config_dir or [])
    validation.check(fresh)
    return fresh


class MainLoop:
    """Runs one service until a signal or the service ends it."""

    def __init__(self, conf: cfg.ConfigOpts, service: Service) -> None:
        self.conf = conf
        self.service = service
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)
        self._failure: Exception | None = None
        self._over = False
        self._ending = False
        self._clean = True

    def run(self) -> typing.NoReturn:
        """Start the service, obey signals, never return.

        The process ends with status 0. It ends with 1 after a failed start
        or if the end takes too long. A second signal ends it at once.
        """
        signal.set_wakeup_fd(self._writer)
        for wanted in SIGNALS:
            signal.signal(wanted, lambda *_: None)
        self._thread('start', self._start)
        while not self._over:
            select.select([self._reader], [], [])
            for number in os.read(self._reader, 64):
                if number == signal.SIGHUP:
                    self._reload()
                elif number in (signal.SIGTERM, signal.SIGINT):
                    self._end()
                elif number == ENDED and not self._ending:
                    self._end()
        self._exit(0 if self._clean and self._failure is None else 1)

    def end(self, failure: Exception | None = None) -> None:
        """End the service from one of its threads.

        :param failure: the error to report, or None
        """
        self._failure = self._failure or failure
        os.write(self._writer, bytes([ENDED]))

    def _thread(self, name: str, target: abc.Callable[[], object]) -> None:
        concurrency.thread(name, target).start()

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
            if not self._ending:
                notify.notify(READY=1, STATUS='running')

    def _reload(self) -> None:
        notify.notify(RELOADING=1)
        try:
            read_again(self.conf)
            self.conf.mutate_config_files()
            terminal.clean_logs(self.conf)
            self.service.reload()
        except Exception as error:      # the old configuration stays
            problem = str(shown.explained(error))
        else:
            problem = None
        if problem:
            LOG.error('The configuration is left as it was: %s', problem)
        else:
            LOG.info('Configuration reloaded.')
        notify.notify(READY=1)

    def _end(self) -> None:
        if self._ending:
            LOG.warning('Told to end a second time: ending now.')
            self._exit(1)
        self._ending = True
        notify.notify(STOPPING=1)
        if timeout := self.conf.graceful_shutdown_timeout:
            # This is for the case that no thread of this process can run:
            # native code, or a native wait under eventlet, does not return.
            faulthandler.dump_traceback_later(timeout + LAST, exit=True)
        self._thread('stop', self._stop)
        self._thread('stop deadline', self._enforce)

    def _stop(self) -> None:
        try:
            self.service.stop()
        except Exception:
            self._clean = False
            LOG.exception('The service could not be stopped in order.')
        self._over = True
        os.write(self._writer, bytes([WAKE]))

    def _enforce(self) -> None:
        timeout = self.conf.graceful_shutdown_timeout
        if timeout:
            threading.Event().wait(timeout)
            LOG.warning('The end took more than %s s: ending now.', timeout)
            self._exit(1)

    def _exit(self, code: int) -> typing.NoReturn:
        if self._failure is not None:
            print(f'{self.conf.prog}: {printable.escaped(self._failure)}',
                  file=sys.stderr)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: a thread stuck in a driver must not hold the process.
        os._exit(code)
