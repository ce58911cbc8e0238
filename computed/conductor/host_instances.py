"""Which instances each host has, as it has told; in memory only.

Who places instances can look here instead of asking the database. What is
known may be old: nothing is done to an instance because of it.
"""

import dataclasses
import threading
from collections import abc

from computed import clock

# Seconds after which a host that tells nothing is forgotten.
FORGOTTEN_AFTER = 3600.0


@dataclasses.dataclass(frozen=True)
class Known:
    """What a host has told.

    :ivar version: the revision of the host, when it looked
    :ivar digest: see :func:`computed.objects.digest.of_uuids`
    :ivar heard_at: monotonic seconds of the last time that it was right
    """

    uuids: frozenset[str]
    version: int
    digest: str
    heard_at: float


class HostInstances:
    """What all hosts have told this conductor. Any thread may call it."""

    def __init__(self, monotonic: abc.Callable[[], float] = clock.monotonic
                 ) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._hosts: dict[str, Known] = {}

    def hear(self, host: str, version: int, count: int, digest: str,
             uuids: abc.Collection[str] | None) -> bool:
        """Take what a host tells.

        :param uuids: all of its instances; None: as told before
        :returns: whether it is known now which instances the host has; if
            not, the host tells all of them
        """
        with self._lock:
            now = self._monotonic()
            for name, known in list(self._hosts.items()):
                if now - known.heard_at > FORGOTTEN_AFTER:
                    del self._hosts[name]
            found = self._hosts.get(host)
            if uuids is None:
                if found is None or (len(found.uuids), found.digest) != (
                        count, digest):
                    return False
                uuids = found.uuids
            self._hosts[host] = Known(
                frozenset(uuids), version, digest, now)
            return True

    def of(self, host: str) -> Known | None:
        """Return what a host has told; None: nothing that still counts."""
        with self._lock:
            return self._hosts.get(host)
