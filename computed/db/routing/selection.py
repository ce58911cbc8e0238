"""The choice of the node for a tolerant read, without side effects."""

import dataclasses
import math
from collections import abc

from computed import chance
from computed import exception
from computed.db.routing import lag

# A replica is left aside only if another one is faster by this factor. Any
# smaller margin would give one of two replicas nearly no reads.
CLEARLY = 2
# Seconds after which to ask again when the primary is down.
PRIMARY_RETRY = 10.0


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What a conductor knows of a replica at this moment.

    :ivar age: the greatest possible age of its data in seconds
    :ivar share: the part of its reads that it may get, from 0 to 1
    :ivar latency: seconds that a read is expected to take
    :ivar lagging: its age is the only reason why it is not usable
    """

    name: str
    usable: bool
    age: float
    share: float = 1.0
    latency: float = 0.0
    lagging: bool = False


def order(candidates: abc.Iterable[Candidate], bound: float,
          default_bound: float) -> list[str]:
    """Return the names of the replicas fit for a read, in order of trial.

    Two random replicas are drawn. The first stays first unless the second is
    clearly faster. The others follow as fallbacks. A replica that came back
    recently is drawn by its share.

    :param bound: seconds that the data may be old
    :param default_bound: the deployment's. A read with a greater bound may
        also use a replica that is out of use for its age.
    """
    fit = [c for c in candidates if c.age <= bound and (
        c.usable or (c.lagging and bound > default_bound))]
    chance.shuffle(fit)
    ramped = [c for c in fit if chance.fraction() < c.share]
    rest = [c for c in fit if c not in ramped]
    first = ramped[:2]
    if len(first) == 2 and first[0].latency >= CLEARLY * first[1].latency:
        first.reverse()
    return [c.name for c in first + ramped[2:] + rest]


def why_none(candidates: abc.Sized, bound: float, heartbeat_interval: float,
             probe_interval: float) -> str | None:
    """Return why a tolerant read cannot use a replica, before one is tried.

    :returns: ``no_replica`` or ``bound_too_small``; None: one may fit
    """
    if not len(candidates):
        return 'no_replica'
    if not lag.provable(bound, heartbeat_interval, probe_interval):
        return 'bound_too_small'
    return None


def why_out(candidates: abc.Iterable[Candidate]) -> str:
    """Return why none of these replicas fits, before one is asked.

    :returns: ``replica_lagging``: at least one has no other fault than its
        age. ``replica_down``: none can be used, whatever its age.
    """
    if any(c.usable or c.lagging for c in candidates):
        return 'replica_lagging'
    return 'replica_down'


def least_stale(candidates: abc.Iterable[Candidate]) -> list[str]:
    """Return the names of the replicas whose age is known, freshest first.

    They include those that are out of use for their age only.
    """
    known = [c for c in candidates
             if math.isfinite(c.age) and (c.usable or c.lagging)]
    return [c.name for c in sorted(known, key=lambda c: c.age)]


def refusal(wait: float | None, candidates: abc.Iterable[Candidate],
            bound: float) -> exception.PutOff:
    """Return the error for a read that no node may answer.

    :param wait: seconds until the budget of the primary has room; None: the
        primary does not answer
    :param bound: seconds that the data may be old
    """
    if wait is not None:
        return exception.Busy(retry_after=wait)
    age = min((c.age for c in candidates), default=math.inf)
    if not math.isfinite(age):
        return exception.TooStale(
            age=None, freshest='cannot be measured', bound=bound,
            retry_after=PRIMARY_RETRY)
    return exception.TooStale(
        age=age, freshest=f'may be {age:.1f} s old', bound=bound,
        retry_after=PRIMARY_RETRY)
