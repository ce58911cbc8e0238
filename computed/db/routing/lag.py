"""The age of a replica, measured by heartbeats alone.

A conductor writes numbered heartbeats to the primary and sees them arrive on
each replica. If heartbeat n has arrived, everything that was committed before
n was *sent* has arrived too. So the data is at most as old as the time since
then. Only the sender's monotonic clock counts. Neither clock skew nor what
the replica reports of itself can make it look fresher than it is.

The clock of a virtual machine that is paused stands still, and then the data
is older than it says. The clocks of the servers cannot tell the age, but they
show that this happened. Then all that was measured before is forgotten.
"""

import collections
import math
import threading
from collections import abc

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

# How many heartbeat intervals a machine may lose unnoticed.
SLACK = 2


class Heartbeats:
    """When each of the last ``keep`` heartbeats was sent.

    :ivar newest: the number of the newest heartbeat; 0: none was sent
    """

    def __init__(self, keep: int = 4096) -> None:
        self._sent: collections.OrderedDict[int, float] = (
            collections.OrderedDict())
        # By how much the clock of each server was ahead, at most, at each of
        # its last answers; and how much of that this machine has surely lost.
        self._ahead: dict[str, collections.deque[float]] = {}
        self._behind: dict[str, float] = {}
        self._lock = threading.Lock()
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

    def witness(self, node: str, began: float, there: float, ended: float,
                slack: float) -> bool:
        """Compare the time that passed here with that on a server.

        If more time passed on two servers than here, this machine stood
        still, and the data is older than its clock says: all heartbeats are
        forgotten. One server alone may have got another time.

        :param node: the server
        :param began: monotonic seconds when it was asked
        :param there: what its clock showed then, in seconds
        :param ended: monotonic seconds when its answer was here
        :param slack: the seconds by which the two may differ
        :returns: whether the heartbeats were forgotten
        """
        with self._lock:
            # The true difference of the clocks is between these two.
            seen = self._ahead.setdefault(
                node, collections.deque(maxlen=self._keep))
            seen.append(there - began)
            self._behind[node] = there - ended - min(seen)
            if sum(behind > slack for behind in self._behind.values()) < 2:
                return False
            for forgotten in (self._sent, self._ahead, self._behind):
                forgotten.clear()
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


def compare(heartbeats: Heartbeats, node: str, began: float, there: float,
            ended: float, interval: float) -> None:
    """See :meth:`Heartbeats.witness`; log it if this machine stood still.

    :param interval: seconds between two heartbeats
    """
    if heartbeats.witness(node, began, there, ended, SLACK * interval):
        LOG.warning('The clock of this machine fell behind those of the '
                    'database servers. Was this machine paused? The age of '
                    'the replicas is measured again.')


def provable(bound: float, heartbeat_interval: float,
             probe_interval: float) -> bool:
    """Return whether any replica could prove to be within ``bound``.

    The newest heartbeat that a probe can see is up to one heartbeat interval
    plus one probe interval old. All are in seconds.
    """
    return bound >= heartbeat_interval + probe_interval
