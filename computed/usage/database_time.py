"""The time of the database, as far as a host knows it without asking.

Rows of all hosts are compared by the clock of the database. So a host whose
own clock is wrong must not use it for what it writes there.
"""

import threading
from collections import abc

from oslo_log import log as logging

from computed import clock as system_clock

LOG = logging.getLogger(__name__)

# A reading that differs from the expected time by more seconds is a jump.
JUMP = 60
# A jump is believed once all readings of so many seconds agree with it.
CONFIRMED_AFTER = 600


class DatabaseTime:
    """Counts on from the last reading, by the monotonic clock of this host.

    A clock that jumps and comes back, such as that of a new primary whose
    time is set a minute later, is not followed. Any thread may call it.
    """

    def __init__(self, monotonic: abc.Callable[[], float] =
                 system_clock.monotonic,
                 own: abc.Callable[[], float] = system_clock.time) -> None:
        """Make it without a reading.

        :param own: the clock of this host, in seconds since 1970; used until
            the first reading
        """
        self._monotonic, self._own = monotonic, own
        self._lock = threading.Lock()
        # What to add to the monotonic clock.
        self._offset: float | None = None
        # Another offset, and since when readings agree with it.
        self._other: tuple[float, float] | None = None

    def now(self) -> float:
        """Return the time of the database, in seconds since 1970."""
        offset = self._offset
        return self._own() if offset is None else self._monotonic() + offset

    def learn(self, reading: float) -> None:
        """Take a reading: the time of the database, just now."""
        with self._lock:
            now = self._monotonic()
            offset = reading - now
            if self._offset is None or abs(offset - self._offset) <= JUMP:
                self._offset, self._other = offset, None
            elif self._other is None or abs(offset - self._other[0]) > JUMP:
                self._other = offset, now
                LOG.warning(
                    'The clock of the database has jumped by %(seconds).0f s.'
                    ' Bytes are counted in the periods of its former time, '
                    'unless it stays there for %(wait)d s.',
                    {'seconds': offset - self._offset,
                     'wait': CONFIRMED_AFTER})
            elif now - self._other[1] >= CONFIRMED_AFTER:
                self._offset, self._other = offset, None
