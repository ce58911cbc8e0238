"""The main thread of a program: signals, and an orderly start and end.

oslo.service's launchers answer SIGHUP by ending their workers or not at all
under native threads; this loop answers it by reloading.
"""

import faulthandler
import logging
import os
import select
import signal
import sys
import threading

from oslo_config import cfg
from oslo_log import log as oslo_logging

from computed import conf as computed_conf
from computed import exception
from computed.conf import validation
from computed.rpc import options
from computed.service import notify

LOG = oslo_logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Not signals: a thread of ours wants attention.
WAKE, ENDED = 0, 255
# Seconds that the end of an end out of time may take.
LAST = 2


def check_files(conf):
    """Refuse configuration files before anything in them is in force.

    :raises computed.exception.ConfigError: a value is not usable
    """
    fresh = cfg.ConfigOpts()
    oslo_logging.register_options(fresh)
    computed_conf.register_opts(fresh)
    options.register_opts(fresh)
    fresh([], default_config_files=conf.config_file or [],
          default_config_dirs=conf.config_dir or [])
    validation.check(fresh)


class MainLoop:
    """Runs one service until it is told to end.

    The service has ``start()``, ``stop()``, ``reload()``; ``start`` may take
    its time, and is expected to return soon after ``stop`` was called.
    """

    def __init__(self, conf, service):
        self.conf = conf
        self.service = service
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)
        self._failure = None
        self._over = False
        self._ending = False
        self._clean = True

    def run(self):
        """Start the service, obey signals, never return.

        The process ends with 0, or 1 after a failed start or an end that
        took too long. A second signal to end is obeyed at once.
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

    def end(self, failure=None):
        """End the service from one of its threads.

        :param failure: the error to report, or None
        """
        self._failure = self._failure or failure
        os.write(self._writer, bytes([ENDED]))

    def _thread(self, name, target):
        threading.Thread(target=target, name=name, daemon=True).start()

    def _start(self):
        try:
            self.service.start()
        except Exception as error:
            if self._ending:
                return      # what it needs is being taken away
            if not isinstance(error, exception.ComputedError):
                LOG.exception('The service could not be started.')
            self.end(error)
        else:
            if not self._ending:
                notify.notify(READY=1, STATUS='running')

    def _reload(self):
        notify.notify(RELOADING=1)
        try:
            check_files(self.conf)
            self.conf.mutate_config_files()
            self.service.reload()
        except Exception as error:      # the old one goes on
            problem = str(error)
        else:
            problem = None
        if problem:
            LOG.error('The configuration is left as it was: %s', problem)
        else:
            LOG.info('Configuration reloaded.')
        notify.notify(READY=1)

    def _end(self):
        if self._ending:
            LOG.warning('Told to end a second time: ending now.')
            self._exit(1)
        self._ending = True
        notify.notify(STOPPING=1)
        if timeout := self.conf.graceful_shutdown_timeout:
            # In case something lets none of our threads run: native code
            # that does not return, or under eventlet any wait of its own.
            faulthandler.dump_traceback_later(timeout + LAST, exit=True)
        self._thread('stop', self._stop)
        self._thread('stop deadline', self._enforce)

    def _stop(self):
        try:
            self.service.stop()
        except Exception:
            self._clean = False
            LOG.exception('The service could not be stopped in order.')
        self._over = True
        os.write(self._writer, bytes([WAKE]))

    def _enforce(self):
        timeout = self.conf.graceful_shutdown_timeout
        if timeout:
            threading.Event().wait(timeout)
            LOG.warning('Not ended after %s s: ending now.', timeout)
            self._exit(1)

    def _exit(self, code):
        if self._failure is not None:
            print(f'{self.conf.prog}: {self._failure}', file=sys.stderr)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: a thread stuck in a driver must not hold the process.
        os._exit(code)
