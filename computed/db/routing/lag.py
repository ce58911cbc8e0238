"""The age of a replica, measured by heartbeats alone.

A conductor writes numbered heartbeats to the primary and sees them arrive on
each replica. If heartbeat n has arrived, everything that was committed before
n was *sent* has arrived too. So the data is at most as old as the time since
then. Only the sender's monotonic clock counts. Neither clock skew nor what
the replica reports of itself can make it look fresher than it is.

The clock of a virtual machine that is paused stands still, and then the data
is older than it says. The clock of the primary cannot tell the age, but it
shows that this happened. Then all that was measured before is forgotten.
"""

import collections
import math
from collections import abc


class Heartbeats:
    """When each of the last ``keep`` heartbeats was sent.

    :ivar newest: the number of the newest heartbeat; 0: none was sent
    """

    def __init__(self, keep: int = 4096) -> None:
        self._sent: collections.OrderedDict[int, float] = (
            collections.OrderedDict())
        # By how much the clock of the primary was ahead, at most, when each
        # of them was taken.
        self._ahead: dict[int, float] = {}
        self._keep = keep
        self.newest = 0

    def next(self, now: float,
             shown: abc.Collection[int | None] = ()) -> int:
        """Return the number of a new heartbeat, sent at ``now``.

        :param now: monotonic seconds
        :param shown: the numbers that replicas show. They are kept: if the
            primary takes no heartbeat for long, they alone tell how old a
            replica is.
        """
        self.newest += 1
        self._sent[self.newest] = now
        if len(self._sent) > self._keep:
            oldest = next(
                number for number in self._sent if number not in shown)
            del self._sent[oldest]
            self._ahead.pop(oldest, None)
        return self.newest

    def stood_still(self, number: int, there: float, now: float,
                    slack: float) -> bool:
        """Compare the time that passed here with that on the primary.

        If more time passed there since any heartbeat that is still known, all
        of them are forgotten: the data that they tell of is older than this
        clock says.

        :param number: of the heartbeat that the primary has just answered
        :param there: what the clock of the primary showed, in seconds
        :param now: monotonic seconds after the answer
        :param slack: the seconds by which the two may differ
        :returns: whether they were forgotten
        """
        if number not in self._sent:
            return False
        # The true difference of the clocks is between these two.
        self._ahead[number] = there - self._sent[number]
        if there - now - min(self._ahead.values()) <= slack:
            return False
        self._sent.clear()
        self._ahead.clear()
        return True

    def age(self, seen: int | None, now: float) -> float:
        """Return the greatest possible age, in seconds, of a node's data.

        :param seen: the newest heartbeat that the node shows; None: it shows
            none
        :param now: monotonic seconds
        :returns: infinite for a heartbeat that is unknown or forgotten
        """
        sent = None if seen is None else self._sent.get(seen)
        return math.inf if sent is None else now - sent


def provable(bound: float, heartbeat_interval: float,
             probe_interval: float) -> bool:
    """Return whether any replica could prove to be within ``bound``.

    The newest heartbeat that a probe can see is up to one heartbeat interval
    plus one probe interval old. All are in seconds.
    """
    return bound >= heartbeat_interval + probe_interval
