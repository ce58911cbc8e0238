"""The answer of one node to one read, and what is recorded of it."""

import dataclasses
import typing
from collections import abc

from computed import context as computed_context
from computed import exception
from computed.db.engine import deadline
from computed.db.engine import errors
from computed.db.routing import lag
from computed.db.routing import primary as primary_module
from computed.db.routing import read_stats
from computed.db.routing import replica as replica_module
from computed.db.routing import transaction


@dataclasses.dataclass(frozen=True)
class Read:
    """One read.

    :ivar query: its name in metrics
    :ivar call: runs the query function in the open transaction
    :ivar covered: see
        :meth:`computed.db.routing.database.Database.read_of_host`
    """

    query: str
    call: abc.Callable[[], typing.Any]
    context: computed_context.RequestContext
    covered: bool = False


@dataclasses.dataclass(frozen=True)
class Need:
    """The conditions that the answer of a replica must meet.

    :ivar reason: why a replica is asked
    :ivar bound: the maximum age of the answer, in seconds
    :ivar revisions: ``{host: revision}`` that the replica must have reached
    """

    reason: str
    bound: float
    revisions: dict[str, int]


class Answers:
    """Lets a node answer a read, checks the answer, and counts it."""

    def __init__(self, primary: primary_module.Primary,
                 heartbeats: lag.Heartbeats, stats: read_stats.ReadStats,
                 replica_timeout: abc.Callable[[], float],
                 clock: abc.Callable[[], float]) -> None:
        """:param replica_timeout: returns the seconds a replica may take"""
        self._primary = primary
        self._heartbeats = heartbeats
        self._stats = stats
        self._replica_timeout = replica_timeout
        self._clock = clock

    def on_primary(self, read: Read, reason: str) -> typing.Any:
        """Return the answer of the primary.

        :param reason: why the primary answers
        :raises: what :meth:`computed.db.routing.primary.Primary.run` raises
        """
        began = self._clock()
        result, scope = self._primary.run(read.call, read.context)
        now = self._clock()
        self._note(read, scope, reason, now - began, now)
        return result

    def on_replica(self, read: Read, replica: replica_module.Replica,
                   need: Need, current_at: float | None = None
                   ) -> typing.Any:
        """Return the answer of ``replica`` if it meets ``need``.

        :param current_at: monotonic seconds at which its data was surely
            current; None: its heartbeat tells
        :raises computed.db.routing.transaction.NodeUnfit: it does not, or
            the replica failed
        """
        incarnation = self._primary.incarnation.number
        if need.revisions and replica.incarnation != incarnation:
            raise transaction.NodeUnfit('replica_behind_token')
        # Before the snapshot, which may lack a heartbeat that is seen later.
        (seen, server), began = replica.shown(), self._clock()
        result = refusal = None
        try:
            with deadline.within(self._replica_timeout()), \
                    replica.reading(), \
                    transaction.opened(read.context, replica) as scope:
                result = read.call()
        except exception.ComputedError as error:
            # "Not found" is an answer too, and has an age like any other.
            refusal = error
        except transaction.PASSING as error:
            raise transaction.NodeUnfit('replica_failed') from error
        except transaction.ERRORS as error:
            # If the query is at fault, the primary reports the error.
            if errors.sqlstate(error) != transaction.CANCELLED:
                replica.failed(f'read failed ({type(error).__name__})',
                               error)
            raise transaction.NodeUnfit('replica_failed') from error
        if scope.identity != server:
            raise transaction.NodeUnfit('replica_failed')
        now = self._clock()
        age = (self._heartbeats.age(seen, now) if current_at is None
               else now - current_at)
        if age > need.bound:
            raise transaction.NodeUnfit('replica_lagging')
        if not computed_context.reached(scope.revisions, need.revisions):
            raise transaction.NodeUnfit('replica_behind_token')
        replica.answered(now - began)
        self._note(read, scope, need.reason, age, now)
        if refusal is not None:
            raise refusal
        return result

    def _note(self, read: Read, scope: transaction.Scope, reason: str,
              age: float, now: float) -> None:
        self._stats.read(read.query, scope.node, reason)
        revision = next(iter(scope.revisions.values()), None)
        read.context.reads.note(computed_context.Origin(
            scope.node.role, scope.node.name, reason, age, revision,
            self._primary.incarnation.number), now)
