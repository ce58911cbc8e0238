"""The request context: who asks, how old an answer may be, what was seen.

It crosses RPC whole. What is missing, malformed or unknown in a serialized
context makes it strict, never lax.
"""

import collections
import copy
import dataclasses
import sys
import threading
import typing

from oslo_context import context

# Why a read was answered although it is older than its bound.
AVAILABILITY = 'availability'


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the answer to a read came from.

    :ivar role: ``primary`` or ``replica``
    :ivar node: its address, without credentials
    :ivar reason: why it went there
    :ivar age: seconds; the data was current at most this long ago
    :ivar revision: of the host that was asked about, or None
    """

    role: str
    node: str
    reason: str
    age: float
    revision: int | None = None

    @classmethod
    def from_dict(cls, values):
        """From the wire; what a newer peer adds is ignored."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in values.items()
                      if name in known})

    def aged(self, seconds):
        """The same, ``seconds`` later."""
        return dataclasses.replace(self, age=self.age + seconds)


class Tokens:
    """The newest revision of each host that this request wrote or saw.

    One holder, shared by all copies of a context: a read that must see what
    an earlier call of the same request wrote finds out here.

    :ivar cell: the uuid of the database they count in
    :ivar incarnation: the life of that database; after a restore, or a
        failover that may have lost something, it has another one, in which
        these revisions mean nothing
    """

    def __init__(self, cell=None, incarnation=None, revisions=None):
        self.cell = cell
        self.incarnation = incarnation
        self.revisions = dict(revisions or {})
        # Threads that repair side by side share one holder.
        self._lock = threading.Lock()

    def advance(self, cell, incarnation, host, revision):
        """Remember that ``host`` has reached ``revision``."""
        with self._lock:
            if (cell, incarnation) != (self.cell, self.incarnation):
                self.cell, self.incarnation = cell, incarnation
                self.revisions = {}
            self.revisions[host] = max(
                revision, self.revisions.get(host, 0))

    def to_dict(self):
        with self._lock:
            return {'cell': self.cell, 'incarnation': self.incarnation,
                    'revisions': dict(self.revisions)}

    def __deepcopy__(self, memo):
        # Another holder has a lock of its own.
        return Tokens(**self.to_dict())

    @classmethod
    def from_dict(cls, values):
        """:raises ValueError: these are not tokens"""
        try:
            revisions = {str(host): int(revision)
                         for host, revision in values['revisions'].items()}
            return cls(values['cell'], values['incarnation'], revisions)
        except (KeyError, TypeError, AttributeError,
                OverflowError) as error:
            raise ValueError(f'not a token: {values!r}') from error


def reached(revisions, required):
    """Whether ``{host: revision}`` is nowhere below ``required``."""
    return all(revisions.get(host, -1) >= revision
               for host, revision in required.items())


class Reads:
    """The reads made for one request: how many by role, and the last.

    :ivar last_at: monotonic seconds, of this process, when ``last`` was as
        old as it says; it ages from then on
    :ivar oldest: the oldest of those that were answered although they were
        too old, because the request preferred that to a refusal, or None
    """

    def __init__(self):
        self.by_role = collections.Counter()
        self.last = self.last_at = None
        self.oldest = None

    @property
    def beyond_bound(self):
        """Whether any was too old; nothing may be claimed on its word."""
        return self.oldest is not None

    def note(self, origin, now):
        self.by_role[origin.role] += 1
        self.last, self.last_at = origin, now
        if origin.reason == AVAILABILITY and (
                self.oldest is None or origin.age > self.oldest.age):
            self.oldest = origin


class RequestContext(context.RequestContext):
    """Who asks, and how old the answer may be.

    :ivar lag_tolerant: reads may be answered by a replica
    :ivar max_staleness: seconds; None is the deployment's
        ``[database] max_replica_lag``
    :ivar availability: rather an older answer than a refusal
    :ivar after: a host's name: reads must be exact for it, but need not
        be answered by the primary; None: no such wish
    :ivar resync: this request reads everything again, at start or after a
        ``Resync``; such reads have a limit of their own
    :ivar tokens: what this request wrote, see :class:`Tokens`
    :ivar reads: what it read; stays in this process
    :ivar accept_repairs: how many repairs an operator accepts of this run,
        or None; stays in this process
    """

    # Where there is a database: the session and the scope of the open
    # transaction, see computed.db.routing.
    session: typing.Any
    db_scope: typing.Any

    FROM_DICT_EXTRA_KEYS = ['lag_tolerant', 'max_staleness', 'availability',
                            'after', 'resync', 'tokens']

    def __init__(self, lag_tolerant=False, max_staleness=None,
                 availability=False, after=None, resync=False, tokens=None,
                 **kwargs):
        super().__init__(**kwargs)
        self.reads = Reads()
        self.accept_repairs = None
        self.max_staleness = max_staleness
        self.tokens = Tokens()
        self.resync = resync is True
        understood = is_bound(max_staleness)
        if tokens is not None:
            try:
                self.tokens = Tokens.from_dict(tokens)
            except ValueError:
                understood = False
        # Only the very value True: a peer we do not understand is strict.
        self.lag_tolerant = lag_tolerant is True and understood
        self.availability = availability is True and understood
        self.after = after if isinstance(after, str) and understood else None
        if not understood:
            self.max_staleness = None

    def to_dict(self):
        """What crosses the wire, as plain values."""
        return {**super().to_dict(),
                'lag_tolerant': self.lag_tolerant,
                'max_staleness': self.max_staleness,
                'availability': self.availability,
                'after': self.after,
                'resync': self.resync,
                'tokens': self.tokens.to_dict()}

    def tolerating_lag(self, tolerant, max_staleness=None):
        """A copy whose reads may (or may not) use a replica.

        A copy, so that a later write on this context cannot inherit the
        flag; a shallow one, so that a transaction already open on this
        context still owns the read, and tokens and reads stay shared.

        :param max_staleness: seconds; None keeps this context's bound
        """
        twin = copy.copy(self)
        # As on the wire, where any other value is strict.
        twin.lag_tolerant = tolerant is True
        twin.after = None
        if max_staleness is not None:
            twin.max_staleness = max_staleness
        return twin

    def exact_for(self, host):
        """A copy whose reads see all that was written of ``host``.

        As exact as a strict read, but a replica that is shown to have it all
        may answer.
        """
        twin = self.tolerating_lag(False)
        twin.after = host
        return twin


def is_bound(seconds):
    """Whether this is a staleness bound: None, or finite seconds from 0."""
    return seconds is None or (
        isinstance(seconds, (int, float)) and
        not isinstance(seconds, bool) and 0 <= seconds <= sys.float_info.max)


def new(resync=False):
    """A fresh strict context, as each task run and command gets one."""
    return RequestContext(is_admin=True, resync=resync)
