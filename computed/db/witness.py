"""What was seen of a database, by which it is noticed that it went back.

The clock of a cell counts seconds in its database, and never backwards. So if
it shows less than somebody has seen before, what was committed since is lost:
a backup was restored, or a server has lost its last commits. A new
incarnation of the database explains it: the loss was noticed when it began.
"""

import threading

# The incarnations that are remembered. A backup can bring an old one back.
# Hosts send theirs with each heartbeat, conductors keep them in memory.
KEPT = 8
KEPT_BY_CONDUCTORS = 1000
# More than any clock ever counts, and less than a column can hold.
LIMIT = 2 ** 48
# The count of an incarnation after which another was seen. If it is seen
# again, the database went back, whatever its clock shows.
OVER = LIMIT - 1

# {incarnation: seconds of the clock of the cell}
Seen = dict[str, int]


class Witness:
    """The highest count that was seen in each incarnation of a database.

    :ivar latest: the incarnation and the count that were seen last; the
        incarnation is None before any was seen
    """

    def __init__(self, seen: Seen | None = None, kept: int = KEPT) -> None:
        """:param kept: how many incarnations are remembered"""
        self._lock = threading.Lock()
        self._kept = kept
        self._seen = sound(seen)
        self.latest: tuple[str | None, int] = None, 0

    def note(self, incarnation: str | None, seconds: int) -> None:
        """Note what the database shows, or what was told of it."""
        if incarnation is None:
            return
        with self._lock:
            self.latest = incarnation, seconds
            # The last one that was seen stands at the end.
            before = self._seen.pop(incarnation, 0)
            self._seen[incarnation] = max(before, seconds)
            self._trim()

    def meet(self, incarnation: str) -> None:
        """Note an incarnation whose clock was not read yet."""
        with self._lock:
            self._seen.setdefault(incarnation, 0)
            self._trim()

    def follow(self, incarnation: str | None, seconds: int,
               before: Seen) -> None:
        """Note what the database shows after ``before`` had been noted.

        So the other incarnations of ``before`` are over. Hosts cannot say so:
        what they are told may arrive in another order.
        """
        self.note(incarnation, seconds)
        if incarnation is None:
            return
        with self._lock:
            self._seen.update(dict.fromkeys(
                before.keys() & self._seen.keys() - {incarnation}, OVER))

    def _trim(self) -> None:
        for name in list(self._seen)[:-self._kept]:
            del self._seen[name]

    def seen(self) -> Seen:
        """Return the highest count of each incarnation."""
        return dict(self._seen)

    def of(self, incarnation: str | None) -> int:
        """Return the highest count of an incarnation; 0: none was seen."""
        return 0 if incarnation is None else self._seen.get(incarnation, 0)


def sound(seen: object) -> Seen:
    """Return the part of ``seen`` that can be true.

    :param seen: from a peer or a file
    """
    if not isinstance(seen, dict):
        return {}
    return dict([(name, seconds) for name, seconds in seen.items()
                 if isinstance(name, str) and type(seconds) is int and
                 0 <= seconds < LIMIT][-KEPT:])
