"""The age of a replica, measured by heartbeats alone.

A conductor writes numbered heartbeats to the primary and sees them arrive on
each replica. If heartbeat n has arrived, everything that was committed before
n was *sent* has arrived too. So the data is at most as old as the time since
then. Only the sender's monotonic clock counts. Neither clock skew nor what
the replica reports of itself can make it look fresher than it is.
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
            del self._sent[next(
                number for number in self._sent if number not in shown)]
        return self.newest

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
