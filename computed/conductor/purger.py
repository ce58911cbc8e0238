"""The part of a conductor that deletes what nobody needs any more."""

import datetime

from oslo_config import cfg
from oslo_log import log as logging

from computed import context as computed_context
from computed import exception
from computed.db.cell import history
from computed.periodic import turns

LOG = logging.getLogger(__name__)

# Seconds between two looks.
INTERVAL = 600.0


class Purger(turns.Turns):
    """A thread of a conductor that deletes old rows of the action log."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__('purger', first=INTERVAL)
        self._conf = conf

    def turn(self) -> float:
        """Delete what is too old; return the seconds until the next look."""
        self.purge()
        return INTERVAL

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
