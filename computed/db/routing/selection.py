"""Which node answers a tolerant read, if any. Pure decisions."""

import dataclasses
import math
import random as random_module

from computed import exception
from computed.db.routing import lag

# By what factor one of two must be slower to be left aside. Were the quicker
# taken by any margin, one of two replicas would get next to nothing.
CLEARLY = 2
# Seconds after which to ask again when the primary is down.
PRIMARY_RETRY = 10.0


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What is known of a replica at this moment.

    :ivar lagging: not usable, and for no other reason than its age
    :ivar age: greatest possible age of its data in seconds
    :ivar share: the part of its reads it may get, from 0 to 1
    :ivar latency: seconds that a read may be expected to take
    """

    name: str
    usable: bool
    age: float
    share: float = 1.0
    latency: float = 0.0
    lagging: bool = False


def order(candidates, bound, default_bound, random=random_module):
    """The names of the replicas fit for a read, in the order to try them.

    Two random ones are drawn and the first stays first, unless the second is
    clearly quicker; the rest follow as fallbacks. A replica that came back
    lately is drawn by its share.

    :param bound: seconds that the data may be old
    :param default_bound: the deployment's; who bears more may also have a
        replica that is out of use for its age
    """
    fit = [c for c in candidates if c.age <= bound and (
        c.usable or (c.lagging and bound > default_bound))]
    random.shuffle(fit)
    ramped = [c for c in fit if random.random() < c.share]
    rest = [c for c in fit if c not in ramped]
    first = ramped[:2]
    if len(first) == 2 and first[0].latency >= CLEARLY * first[1].latency:
        first.reverse()
    return [c.name for c in first + ramped[2:] + rest]


def why_none(candidates, bound, heartbeat_interval, probe_interval):
    """Why a tolerant read goes to the primary before any replica is tried.

    :returns: ``no_replica`` or ``bound_too_small``; None: replicas may do
    """
    if not candidates:
        return 'no_replica'
    if not lag.provable(bound, heartbeat_interval, probe_interval):
        return 'bound_too_small'
    return None


def least_stale(candidates):
    """The names of the replicas whose age is known, the freshest first.

    Also those that are out of use for nothing but their age.
    """
    known = [c for c in candidates
             if math.isfinite(c.age) and (c.usable or c.lagging)]
    return [c.name for c in sorted(known, key=lambda c: c.age)]


def refusal(wait, candidates, bound):
    """The error for a read that no node may answer.

    :param wait: seconds until the budget of the primary has room; None: the
        primary does not answer
    :rtype: computed.exception.PutOff
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
