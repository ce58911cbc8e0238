"""A record, kept by the test itself, of what was written and read when.

Values are those of one register that only ever grows: a reader that has seen
7 has seen all writes up to 7. Times are monotonic seconds of the test's
process.
What follows from the record are pure functions; nothing that the product says
of itself is asked, except to be compared.
"""

import contextlib
import dataclasses
import threading
import time


@dataclasses.dataclass(frozen=True)
class Write:
    """:ivar completed: when it was acknowledged; None: never, so that it was
        done or not, now or later
    """

    value: int
    invoked: float
    completed: float | None
    session: str = ''


@dataclasses.dataclass(frozen=True)
class Read:
    """:ivar ended: when the answer was there, as old as it was said to be
    :ivar bound: how old the answer might be, in seconds
    :ivar age: how old it was said to be at most
    :ivar node: who answered
    """

    value: int
    began: float
    ended: float
    session: str = ''
    bound: float = 0.0
    age: float | None = None
    node: str = ''


class Ledger:
    """Collects the record; threads may share it."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self.writes = []
        self.reads = []

    @contextlib.contextmanager
    def writing(self, value, session=''):
        """The body writes ``value``; if it fails, nobody knows."""
        invoked, completed = self._clock(), None
        try:
            yield
            completed = self._clock()
        finally:
            with self._lock:
                self.writes.append(Write(value, invoked, completed, session))

    def reading(self, function, **facts):
        """Record one read.

        :param function: returns the value, and more facts about the read;
            ``ended`` among them is more exact than the end of the call
        :param facts: see :class:`Read`
        """
        began = self._clock()
        value, found = function()
        read = Read(value, began, **{
            'ended': self._clock(), **facts, **found})
        with self._lock:
            self.reads.append(read)
        return read


def staleness(writes, read):
    """How old the answer truly was at the read's end, at the least.

    That is the age of the oldest commit that it lacks. A commit is as old as
    its acknowledgement; that of no acknowledged write is not known to be one.
    """
    lacking = [write.completed for write in writes
               if write.completed is not None and write.value > read.value and
               write.completed <= read.ended]
    return read.ended - min(lacking) if lacking else 0.0


def too_old(writes, reads):
    """The reads whose answer was older than the caller's bound when it was
    given: it ages on its way by no more than the call took.
    """
    return [read for read in reads if staleness(writes, read) -
            (read.ended - read.began) > read.bound]


def understated(writes, reads):
    """The reads whose answer was older than it was said to be."""
    return [read for read in reads if read.age is not None and
            staleness(writes, read) > read.age]


def check(book):
    """No answer was older than was asked for, or than it was said to be."""
    assert book.reads and book.writes
    assert too_old(book.writes, book.reads) == []
    assert understated(book.writes, book.reads) == []


def gone_back(reads):
    """Pairs of reads of one session of which the later saw less."""
    found = []
    by_session = {}
    for read in sorted(reads, key=lambda read: read.began):
        earlier = by_session.get(read.session)
        if earlier and earlier.ended <= read.began:
            if read.value < earlier.value:
                found.append((earlier, read))
        if earlier is None or read.value >= earlier.value:
            by_session[read.session] = read
    return found


def own_writes_unseen(writes, reads):
    """The reads that lack an acknowledged write of their own session."""
    return [read for read in reads if any(
        write.session == read.session and write.completed is not None and
        write.completed <= read.began and write.value > read.value
        for write in writes)]


def lost(writes, final):
    """How many acknowledged increments are missing from a counter.

    :param final: what the counter shows in the end
    """
    acknowledged = sum(write.completed is not None for write in writes)
    return max(0, acknowledged - final)


def from_nowhere(writes, final):
    """By how much a counter exceeds all that anybody may have added."""
    return max(0, final - len(writes))
