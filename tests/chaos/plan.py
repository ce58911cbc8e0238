"""What goes wrong when: drawn from a seed, before anything runs. Pure."""

import dataclasses
import random

# What may happen to which part, and for how many seconds it lasts.
KINDS = {
    'replica': {'kill': (1, 8), 'freeze': (1, 8), 'stop_applying': (0.5, 15)},
    'primary': {'kill': (1, 4), 'freeze': (0.5, 4)},
    'conductor': {'kill': (0.5, 3), 'freeze': (0.5, 4)},
}
# How often each part is drawn, beside the others.
WEIGHTS = {'replica': 6, 'primary': 1, 'conductor': 2}
# Seconds from one beginning to the next.
GAP = (0.5, 5)
# Seconds at the end in which nothing begins.
QUIET = 20


@dataclasses.dataclass(frozen=True)
class Fault:
    """:ivar at: seconds after the start
    :ivar part: ``replica``, ``primary`` or ``conductor``
    :ivar number: which of them
    :ivar lasts: seconds until it is undone
    """

    at: float
    part: str
    number: int
    kind: str
    lasts: float

    def __str__(self):
        return (f'{self.at:7.2f} s  {self.kind} {self.part} {self.number} '
                f'for {self.lasts:.2f} s')


def drawn(seed, seconds, counts):
    """The faults of a run, in order; never two at once on one part.

    :param counts: ``{part: how many there are}``
    """
    chance = random.Random(seed)
    faults, free_from, now = [], {}, 0.0
    while (now := now + chance.uniform(*GAP)) < seconds - QUIET:
        part = chance.choices(*zip(*WEIGHTS.items(), strict=True))[0]
        number = chance.randrange(counts[part])
        kind = chance.choice(sorted(KINDS[part]))
        lasts = chance.uniform(*KINDS[part][kind])
        if free_from.get((part, number), 0) <= now:
            faults.append(Fault(now, part, number, kind, lasts))
            # To come back takes its time, too.
            free_from[part, number] = now + lasts + 3
    return faults
