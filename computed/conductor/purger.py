"""The part of a conductor that deletes what nobody needs any more."""

import datetime
import threading

from oslo_config import cfg
from oslo_log import log as logging

from computed import concurrency
from computed import context as computed_context
from computed import exception
from computed.db.cell import history

LOG = logging.getLogger(__name__)

# Seconds between two looks.
INTERVAL = 600.0


class Purger:
    """A thread of a conductor that deletes old rows of the action log."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._stopping = threading.Event()
        self._thread: concurrency.Thread = concurrency.thread(
            'purger', self._run)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that hangs on a dead server is left."""
        self._stopping.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL):
            self.purge()

    def purge(self) -> None:
        """Delete what is older than ``event_retention``."""
        days = self._conf.conductor.event_retention
        if not days:
            return
        try:
            done = history.lists.purge(
                computed_context.new(), datetime.timedelta(days=days))
        except exception.ComputedError as error:
            LOG.debug('The action log is not purged now: %s', error)
        except Exception:       # the next turn may succeed
            LOG.exception('The action log cannot be purged.')
        else:
            if done:
                LOG.info('%s events older than %s days were deleted.', done,
                         days)
