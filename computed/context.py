"""The request context: the caller, the age it accepts, what it has seen.

The whole context crosses RPC. Whatever is missing, malformed or unknown in
it makes the request strict: the primary answers.
"""

import collections
import copy
import dataclasses
import sys
import threading
import typing
from collections import abc

from oslo_context import context

if typing.TYPE_CHECKING:
    from computed.objects import base as objects_base

# The reason of a read that was answered although it is older than its bound.
AVAILABILITY = 'availability'


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the answer to a read came from.

    :ivar role: ``primary`` or ``replica``
    :ivar node: the address of the server, without credentials
    :ivar reason: why the read went there
    :ivar age: the maximum age of the data, in seconds
    :ivar revision: of the host that the read was about, or None
    :ivar incarnation: of the database, as far as the conductor knew it
    """

    role: str
    node: str
    reason: str
    age: float
    revision: int | None = None
    incarnation: str | None = None

    @classmethod
    def from_dict(cls, values: abc.Mapping[str, typing.Any]) -> 'Origin':
        """Make an origin from what crossed the wire.

        Keys that a newer peer adds are ignored.
        """
        known = cls.__dataclass_fields__
        return cls(**{name: value for name, value in values.items()
                      if name in known})

    def to_dict(self) -> dict[str, typing.Any]:
        """Return what crosses the wire, as plain values."""
        return dict(vars(self))

    def aged(self, seconds: float) -> 'Origin':
        """Return the same origin, ``seconds`` older."""
        return dataclasses.replace(self, age=self.age + seconds)


@dataclasses.dataclass(frozen=True)
class Token:
    """The newest revision of each host of one cell that a request knows.

    :ivar incarnation: of the cell's database. A restore, or a failover that
        may have lost changes, begins another one, in which these revisions
        mean nothing. None: the conductor did not know it yet.
    """

    incarnation: str | None
    revisions: dict[str, int]

    @classmethod
    def from_dict(cls, values: typing.Any) -> 'Token':
        """Make a token from what crossed the wire.

        :raises ValueError: it is malformed
        """
        try:
            incarnation = values['incarnation']
            revisions = dict(values['revisions'].items())
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'not a token: {values!r}') from error
        if not isinstance(incarnation, str | None) or not all(
                isinstance(host, str) and isinstance(revision, int) and
                not isinstance(revision, bool)
                for host, revision in revisions.items()):
            raise ValueError(f'not a token: {values!r}')
        return cls(incarnation, revisions)


class Tokens:
    """The :class:`Token` of each cell that a request has written or seen.

    All copies of a context share one holder: a read that must see what an
    earlier call of the same request wrote finds it here. Cells are
    independent: a reply of one cell leaves the tokens of others alone.

    On the wire: ``{cell: {'incarnation': text or null, 'revisions': {host:
    number}}}``. A cell is named by the uuid of its database. An empty object
    means that nothing was written. A context whose tokens have any other form
    is strict.
    """

    def __init__(self) -> None:
        self._cells: dict[str, Token] = {}
        self._advanced: set[str] = set()
        # Threads that repair side by side share one holder.
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._cells)

    def of(self, cell: str) -> Token | None:
        """Return a copy of the token of ``cell``, or None."""
        with self._lock:
            token = self._cells.get(cell)
            return token and Token(token.incarnation, dict(token.revisions))

    def advance(self, cell: str, incarnation: str | None, host: str,
                revision: int) -> None:
        """Remember that ``host`` has reached ``revision``.

        If the cell has entered another incarnation, its older revisions are
        dropped.
        """
        with self._lock:
            token = self._cells.get(cell)
            if token is None or token.incarnation != incarnation:
                token = self._cells[cell] = Token(incarnation, {})
            token.revisions[host] = max(
                revision, token.revisions.get(host, 0))
            self._advanced.add(cell)

    def adopt(self, others: 'Tokens') -> None:
        """Advance by everything in ``others``."""
        for cell, token in others._cells.items():
            for host, revision in token.revisions.items():
                self.advance(cell, token.incarnation, host, revision)

    def to_dict(self) -> dict[str, dict[str, typing.Any]]:
        """Return what crosses the wire, as plain values."""
        with self._lock:
            return {cell: {'incarnation': token.incarnation,
                           'revisions': dict(token.revisions)}
                    for cell, token in self._cells.items()}

    def news(self) -> dict[str, dict[str, typing.Any]]:
        """Return, as plain values, the tokens that this process advanced.

        A reply has only these: what the request brought of other cells may
        be out of date at its sender by now.
        """
        return {cell: token for cell, token in self.to_dict().items()
                if cell in self._advanced}

    @classmethod
    def from_dict(cls, values: typing.Any) -> 'Tokens':
        """Make the tokens from what crossed the wire.

        :raises ValueError: they are malformed
        """
        if not isinstance(values, dict) or not all(
                isinstance(cell, str) for cell in values):
            raise ValueError(f'not tokens: {values!r}')
        made = cls()
        tokens = {cell: Token.from_dict(token)
                  for cell, token in values.items()}
        made._cells = {cell: token for cell, token in tokens.items()
                       if token.revisions}
        return made

    def __deepcopy__(self, memo: dict[int, typing.Any]) -> 'Tokens':
        # A lock cannot be copied.
        return Tokens.from_dict(self.to_dict())


def reached(revisions: abc.Mapping[str, int],
            required: abc.Mapping[str, int]) -> bool:
    """Return whether no host in ``revisions`` is below ``required``.

    Both are ``{host: revision}``.
    """
    return all(revisions.get(host, -1) >= revision
               for host, revision in required.items())


class Reads:
    """The reads made for one request: how many of each role, and the last.

    :ivar last: the :class:`Origin` of the last read, or None
    :ivar last_at: the moment, in monotonic seconds of this process, at which
        ``last`` was as old as it says; it ages from then on
    :ivar oldest: the oldest of the reads that were answered although they
        were beyond their bound, because the request prefers an old answer to
        none; None if there was no such read
    """

    def __init__(self) -> None:
        self.by_role: collections.Counter[str] = collections.Counter()
        self.last: Origin | None = None
        self.last_at: float | None = None
        self.oldest: Origin | None = None

    @property
    def beyond_bound(self) -> bool:
        """Return whether a read was too old; no claim may rest on them."""
        return self.oldest is not None

    def note(self, origin: Origin, now: float) -> None:
        """Count a read.

        :param now: monotonic seconds
        """
        self.by_role[origin.role] += 1
        self.last, self.last_at = origin, now
        if origin.reason == AVAILABILITY and (
                self.oldest is None or origin.age > self.oldest.age):
            self.oldest = origin


class RequestContext(context.RequestContext):
    """The caller of a request, and the age that it accepts.

    :ivar lag_tolerant: replicas may answer its reads
    :ivar max_staleness: seconds; None: ``[database] max_replica_lag`` of the
        deployment
    :ivar availability: an old answer is better than a refusal
    :ivar after: the name of a host. Reads are exact for this host, but a
        replica may answer them. None: no host.
    :ivar resync: this request reads everything again, at start or after a
        ``Resync``. Such reads have a limit of their own.
    :ivar tokens: what this request wrote, see :class:`Tokens`
    :ivar database_id: the uuid of the database that its caller belongs to; a
        conductor of another one refuses the request. None: any
    :ivar asked_by: the user, the task, or else who asks, for the action log;
        None: the service itself
    :ivar reads: what it read; stays in this process
    :ivar conductor: the client to use instead of the default of the process,
        for example for another cell; stays in this process. See
        :func:`computed.objects.base.use_conductor`.
    :ivar accept_repairs: how many repairs an operator accepts of this run,
        or None; stays in this process
    :ivar wanted_until: when its caller gives it up, in monotonic seconds of
        this process, where it stays; None: not known
    """

    # They exist only where there is a database: the connection and the scope
    # of the open transaction; see computed.db.routing.
    connection: typing.Any
    db_scope: typing.Any

    FROM_DICT_EXTRA_KEYS = ['lag_tolerant', 'max_staleness', 'availability',
                            'after', 'resync', 'tokens', 'database_id',
                            'asked_by']

    def __init__(self, lag_tolerant: typing.Any = False,
                 max_staleness: typing.Any = None,
                 availability: typing.Any = False, after: typing.Any = None,
                 resync: typing.Any = False, tokens: typing.Any = None,
                 database_id: typing.Any = None,
                 asked_by: typing.Any = None, **kwargs: typing.Any) -> None:
        super().__init__(**kwargs)
        self.reads = Reads()
        self.conductor: objects_base.Conductor | None = None
        self.accept_repairs: int | None = None
        self.wanted_until: float | None = None
        self.max_staleness: float | None = max_staleness
        self.tokens = Tokens()
        self.resync = resync is True
        understood = is_bound(max_staleness)
        if tokens is not None:
            try:
                self.tokens = Tokens.from_dict(tokens)
            except ValueError:
                understood = False
        # Only the value True itself: a context that is not understood is
        # strict.
        self.lag_tolerant = lag_tolerant is True and understood
        self.availability = availability is True and understood
        self.database_id: str | None = (
            database_id if isinstance(database_id, str) else None)
        self.asked_by: str | None = (
            asked_by if isinstance(asked_by, str) else None)
        self.after: str | None = (
            after if isinstance(after, str) and understood else None)
        if not understood:
            self.max_staleness = None

    def to_dict(self) -> dict[str, typing.Any]:
        """Return what crosses the wire, as plain values."""
        return {**super().to_dict(),
                'lag_tolerant': self.lag_tolerant,
                'max_staleness': self.max_staleness,
                'availability': self.availability,
                'after': self.after,
                'resync': self.resync,
                'tokens': self.tokens.to_dict(),
                'database_id': self.database_id,
                'asked_by': self.asked_by}

    def tolerating_lag(self, tolerant: bool,
                       max_staleness: float | None = None
                       ) -> 'RequestContext':
        """Return a copy whose reads may, or may not, use a replica.

        It is a copy so that a later write on this context does not inherit
        the flag. The copy is shallow: a transaction that is open on this
        context stays open on the copy, and both share tokens and reads.

        :param max_staleness: seconds; None keeps this context's bound
        """
        twin = copy.copy(self)
        # As on the wire: any other value is strict.
        twin.lag_tolerant = tolerant is True
        twin.after = None
        if max_staleness is not None:
            twin.max_staleness = max_staleness
        return twin

    def exact_for(self, host: str) -> 'RequestContext':
        """Return a copy whose reads see every change of ``host``.

        They are as exact as strict reads, but a replica may answer if it has
        proved that it has every change.
        """
        twin = self.tolerating_lag(False)
        twin.after = host
        return twin


def is_bound(seconds: object) -> bool:
    """Return whether this is a bound: None, or finite seconds from 0 up."""
    return seconds is None or (
        isinstance(seconds, int | float) and
        not isinstance(seconds, bool) and 0 <= seconds <= sys.float_info.max)


def new(resync: bool = False, asked_by: str | None = None
        ) -> RequestContext:
    """Return a new strict context, for one run of a task or one command."""
    return RequestContext(is_admin=True, resync=resync, asked_by=asked_by)
