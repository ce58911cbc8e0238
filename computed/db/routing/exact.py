"""Reads that need every change of a host, but that a replica may answer."""

import functools
import typing
from collections import abc

import sqlalchemy as sa

from computed import context as computed_context
from computed.db.engine import prepared
from computed.db.routing import answers
from computed.db.routing import primary as primary_module
from computed.db.routing import selection
from computed.db.routing import tables
from computed.db.routing import tolerant
from computed.db.routing import transaction


class ExactReads:
    """Answers reads for which ``context.after`` names a host.

    The primary gives one number, the revision that the host has now. A
    replica that has reached this revision has every change of the host. What
    else it has is as old as the replica.
    """

    def __init__(self, primary: primary_module.Primary,
                 replicas: tolerant.Replicas, answer: answers.Answers,
                 max_lag: abc.Callable[[], float],
                 clock: abc.Callable[[], float]) -> None:
        """:param max_lag: returns the seconds that a replica may lag"""
        self._primary = primary
        self._max_lag = max_lag
        self._replicas = replicas
        self._answers = answer
        self._clock = clock

    def read(self, read: answers.Read, host: str) -> typing.Any:
        """Answer a read that must contain every change of ``host``."""
        reason = 'strict'
        usable = [c for c in self._replicas.candidates() if c.usable]
        began = self._clock()
        revision = self._current_revision(read, host) if usable else None
        if revision is not None:
            # Only one is tried: the others have probably received no more.
            [chosen] = selection.order(usable, float('inf'), 0)[:1]
            need = answers.Need(
                'after_host', self._bound(read), {host: revision})
            try:
                with self._replicas.place():
                    return self._answers.on_replica(
                        read, self._replicas.all[chosen], need,
                        began if read.covered else None)
            except transaction.NodeUnfit as unfit:
                reason = unfit.args[0]
        return self._answers.on_primary(read, reason)

    def _bound(self, read: answers.Read) -> float:
        """Return the seconds that the answer may be old."""
        if read.covered:
            return float('inf')
        if read.context.max_staleness is not None:
            return read.context.max_staleness
        return self._max_lag()

    def _current_revision(self, read: answers.Read, host: str) -> int | None:
        revision, _ = self._primary.run(functools.partial(
            current_revision, read.context, host), read.context)
        return revision


def current_revision(context: computed_context.RequestContext,
                     host: str) -> int | None:
    """Return the revision that ``host`` has now, or None for no such host.
    """
    return context.connection.scalar(_current(), {'the_host': host})


@functools.cache
def _current() -> sa.Select:
    return sa.select(tables.hosts.c.revision).where(
        tables.hosts.c.name == prepared.value('host'))
