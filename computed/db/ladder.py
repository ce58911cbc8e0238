"""Which replica answers a tolerant read, if any. A pure decision."""

import dataclasses
import random as random_module

from computed.db import lag


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What is known of a replica at this moment.

    :ivar lagging: not usable, and for no other reason than its age
    :ivar age: greatest possible age of its data in seconds
    :ivar share: the part of its reads it may get, from 0 to 1
    :ivar latency: seconds a read took lately
    """

    name: str
    usable: bool
    age: float
    share: float = 1.0
    latency: float = 0.0
    lagging: bool = False


def order(candidates, bound, default_bound, random=random_module):
    """The names of the replicas fit for a read, in the order to try them.

    Two random ones are drawn and the quicker is first; the rest follow as
    fallbacks. A replica that came back lately is drawn by its share.

    :param bound: seconds that the data may be old
    :param default_bound: the deployment's; who bears more may also have a
        replica that is out of use for its age
    """
    fit = [c for c in candidates if c.age <= bound and (
        c.usable or (c.lagging and bound > default_bound))]
    random.shuffle(fit)
    ramped = [c for c in fit if random.random() < c.share]
    rest = [c for c in fit if c not in ramped]
    first = sorted(ramped[:2], key=lambda c: c.latency)
    return [c.name for c in first + ramped[2:] + rest]


def why_none(candidates, bound, beat_interval, probe_interval):
    """Why a tolerant read goes to the primary before any replica is tried.

    :returns: ``no_replica`` or ``bound_too_small``; None: replicas may do
    """
    if not candidates:
        return 'no_replica'
    if not lag.provable(bound, beat_interval, probe_interval):
        return 'bound_too_small'
    return None
