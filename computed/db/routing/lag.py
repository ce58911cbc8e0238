"""How old is a replica? Arithmetic on heartbeats, nothing else.

A conductor writes numbered beats to the primary and sees them arrive on each
replica. If beat n has arrived, everything committed before n was *sent* has
arrived too; so the data is at most as old as the time since then. Only the
sender's monotonic clock is used: neither clock skew nor what the replica
believes of itself can make it look fresher than it is.
"""

import collections
import math


class Heartbeats:
    """When each beat was sent; of the last ``keep``, and what is shown."""

    def __init__(self, keep=4096):
        self._sent = collections.OrderedDict()
        self._keep = keep
        self.newest = 0

    def next(self, now, shown=()):
        """Number a new beat, about to be sent at monotonic time ``now``.

        :param shown: by replicas, not to be forgotten. However long the
            primary takes no other, these tell how old a replica is.
        """
        self.newest += 1
        self._sent[self.newest] = now
        if len(self._sent) > self._keep:
            del self._sent[next(
                number for number in self._sent if number not in shown)]
        return self.newest

    def age(self, seen, now):
        """Greatest possible age at ``now`` of a node that showed ``seen``.

        :param seen: the newest beat seen there, None for none
        :returns: seconds; infinite for a beat we did not send, or forgot
        """
        sent = self._sent.get(seen)
        return math.inf if sent is None else now - sent


def provable(bound, heartbeat_interval, probe_interval):
    """Whether any replica could be shown to be within ``bound`` seconds.

    The newest beat that can have been seen is up to one beat interval plus
    one probe interval old.
    """
    return bound >= heartbeat_interval + probe_interval
