"""Tell in the log that something is away: when it goes, and when it is back.

While it is away, every call that needs it fails. One line a minute is enough.
"""

import threading

from oslo_log import log as logging

from computed import clock
from computed.logs import seldom

LOG = logging.getLogger(__name__)


class Outage:
    """The present outage of one thing, if there is one.

    What goes and comes several times a minute is told of once a minute.

    :ivar reason: why it is away; None: it is there
    :ivar since: monotonic seconds when it went; None: it is there
    """

    def __init__(self, gone: str, lasts: str, over: str,
                 level: int = logging.WARNING) -> None:
        """Make it for one thing, which is there.

        :param gone: the line when it goes, before the reason
        :param lasts: the line while it is away, before the reason. It and
            ``over`` name ``{seconds}``, the length of the outage.
        :param over: the line when it is back
        :param level: of all these lines
        """
        self._gone, self._lasts, self._over = gone, lasts, over
        self._level = level
        self._lock = threading.Lock()
        self._limit = seldom.Limit()
        # The kinds of reasons that were told.
        self._told: set[str] = set()
        self.reason: str | None = None
        self.since: float | None = None

    def lasts(self, reason: str, kind: str = '', told: bool = True) -> None:
        """Note that it is away, and why; tell it if it is time to.

        :param kind: of the reason; a new kind is told at once
        :param told: False: another line tells of it, so this one does not
        """
        with self._lock:
            now = clock.monotonic()
            self.reason = reason
            if self.since is None:
                self.since, self._told = now, set()
            if not told or self._limit.take(kind) is None:
                return
            text = self._lasts if kind in self._told else self._gone
            self._told.add(kind)
            text = text.format(seconds=f'{now - self.since:.0f} s')
        LOG.log(self._level, '%s: %s', text, reason)

    def ends(self) -> bool:
        """Note that it is there; tell it if its outage was told.

        :returns: whether it was told
        """
        if self.since is None:
            return False    # without the lock: every success calls this
        with self._lock:
            if self.since is None:
                return False
            seconds = clock.monotonic() - self.since
            told, self.since, self.reason = bool(self._told), None, None
        if told:
            LOG.log(self._level, self._over.format(
                seconds=f'{seconds:.0f} s'))
        return told

    def length(self) -> float | None:
        """Return the seconds that it has been away; None: it is there."""
        since = self.since
        return None if since is None else clock.monotonic() - since
