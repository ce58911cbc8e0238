"""Reads that may be stale: from replicas, or else from the primary."""

import contextlib
import sys
import threading
import typing
from collections import abc

from oslo_config import cfg

from computed import context as computed_context
from computed import exception
from computed.db.routing import answers
from computed.db.routing import budget as budget_module
from computed.db.routing import incarnation
from computed.db.routing import lag
from computed.db.routing import primary as primary_module
from computed.db.routing import read_stats
from computed.db.routing import replica as replica_module
from computed.db.routing import selection
from computed.db.routing import transaction


class Replicas:
    """The replicas of one database, and the places to read from them.

    :ivar all: ``{name: replica}``
    :ivar places: one for each read that runs on a replica
    """

    def __init__(self, replicas: abc.Iterable[replica_module.Replica],
                 heartbeats: lag.Heartbeats, threads: int) -> None:
        """:param threads: how many reads may run on replicas at once"""
        self.all = {replica.name: replica for replica in replicas}
        self._heartbeats = heartbeats
        # Frozen replicas may hold these threads; strict calls have others.
        self.places = threading.BoundedSemaphore(threads)

    def candidates(self) -> list[selection.Candidate]:
        """Return what is known of each replica."""
        return [replica.candidate(self._heartbeats)
                for replica in self.all.values()]

    def place(self) -> contextlib.AbstractContextManager[None]:
        """Hold a place while the body reads from replicas.

        :raises computed.db.routing.transaction.NodeUnfit: none is free
        """
        return transaction.place(
            self.places, transaction.NodeUnfit('replica_busy'))


class TolerantReads:
    """Chooses who answers a tolerant read.

    A replica within the bound answers. If there is none, the primary answers,
    within its budget. If it cannot, a replica of any age answers, provided
    that the request accepts that. If this fails too, the read is refused.
    """

    def __init__(self, settings: cfg.ConfigOpts.GroupAttr,
                 primary: primary_module.Primary, replicas: Replicas,
                 answer: answers.Answers, budget: budget_module.Budget,
                 stats: read_stats.ReadStats,
                 observe: abc.Callable[[], str]) -> None:
        """:param observe: returns the incarnation, which a write finds out"""
        self._settings = settings
        self._primary = primary
        self._replicas = replicas
        self._answers = answer
        self._budget = budget
        self._stats = stats
        self._observe = observe

    def read(self, read: answers.Read) -> typing.Any:
        """Answer a tolerant read.

        :raises computed.exception.PutOff: no node may answer it now
        """
        bound = self._bound(read.context)
        reason = selection.why_none(
            self._replicas.all, bound,
            self._settings.replica_heartbeat_interval,
            self._settings.replica_probe_interval)
        if reason == 'no_replica':
            return self._answers.on_primary(read, reason)
        if not self._tokens_are_current(read):
            reason = 'replica_behind_token'
        if reason is None:
            try:
                return self._on_some_replica(read, answers.Need(
                    'lag_tolerant', bound, self._required(read.context)))
            except transaction.NodeUnfit as unfit:
                reason = unfit.args[0]
        wait: float | None = None
        if not self._primary.silent:
            with self._budget.spend() as wait:
                if not wait:
                    try:
                        return self._answers.on_primary(read, reason)
                    except (exception.PrimaryUnavailable,
                            exception.PrimaryReadOnly):
                        wait = None
        if read.context.availability:
            with contextlib.suppress(transaction.NodeUnfit):
                # Any age is accepted, but it must be known.
                return self._on_some_replica(read, answers.Need(
                    computed_context.AVAILABILITY, sys.float_info.max, {}))
        refusal = selection.refusal(
            wait, self._replicas.candidates(), bound)
        self._stats.refusal(read.query, type(refusal).__name__)
        raise refusal

    def _bound(self, context: computed_context.RequestContext) -> float:
        if context.max_staleness is None:
            return self._settings.max_replica_lag
        return context.max_staleness

    def _required(self, context: computed_context.RequestContext
                  ) -> dict[str, int]:
        token = context.tokens.of(self._primary.incarnation.database_id)
        return token.revisions if token else {}

    def _tokens_are_current(self, read: answers.Read) -> bool:
        """Return whether a replica could prove what the tokens require.

        :raises computed.exception.Resync: they belong to an earlier
            incarnation of this database
        """
        current = self._primary.incarnation
        token = read.context.tokens.of(current.database_id)
        if token is None:
            # If there are tokens of other databases only, this request was
            # served elsewhere before. Then the primary decides.
            return not read.context.tokens
        if token.incarnation != current.number:
            try:
                # Perhaps other conductors already know a newer one.
                current.adopt(self._observe())
            except (exception.PrimaryUnavailable,
                    exception.PrimaryReadOnly):
                return False
        if token.incarnation != current.number:
            self._stats.refusal(read.query, 'Resync')
            raise exception.Resync(retry_after=incarnation.resync_after(
                min(token.revisions), self._settings.resync_window,
                current.age()))
        return True

    def _on_some_replica(self, read: answers.Read, need: answers.Need
                         ) -> typing.Any:
        """Return the answer of the first replica that fits.

        :raises computed.db.routing.transaction.NodeUnfit: none fits
        """
        with self._replicas.place():
            candidates = self._replicas.candidates()
            if need.reason == computed_context.AVAILABILITY:
                chosen = selection.least_stale(candidates)
            else:
                chosen = selection.order(candidates, need.bound,
                                         self._settings.max_replica_lag)
            reason = selection.why_out(candidates)
            for name in chosen:
                try:
                    return self._answers.on_replica(
                        read, self._replicas.all[name], need)
                except transaction.NodeUnfit as unfit:
                    reason = unfit.args[0]
            raise transaction.NodeUnfit(reason)
