"""The swarms: what their schedules are drawn from. A seed is ``NAME:NUMBER``.

``swarm`` draws a random subset of all faults. ``alone-FAULT`` has one fault
only, ``former-NAME`` a script (:mod:`.former`). Each other profile aims at a
gap.
"""

import dataclasses
import random

from tests.schedules import faults
from tests.schedules import former


@dataclasses.dataclass(frozen=True)
class Profile:
    """What plans are drawn from.

    :ivar names: the faults to draw from
    :ivar chance: of each fault to be on
    :ivar length: virtual seconds of work
    :ivar calm: the most virtual seconds of rest before the verdict
    :ivar least_calm: the fewest. A host whose daemon is silent is given away
        in 30 s.
    :ivar rates: virtual seconds between two sudden faults
    :ivar strength: by which the chances of the weather are multiplied
    :ivar slow_at: points at which time often passes; see ``hub.Hub.bias``
    :ivar thinks: the most virtual seconds between two actions of a user; a
        third of it on the average
    :ivar script: ``((seconds of work, fault), ...)``: what happens when, in
        order
    :ivar consumers: whether somebody listens to notifications, and users use
        consoles
    :ivar deletes: how often a user deletes, soon or at once
    :ivar volumes: whether users have volumes
    """

    names: tuple
    chance: float = 1.0
    hosts: tuple = (2,)
    conductors: tuple = (1, 2)
    replicas: tuple = (0, 1, 2)
    users: tuple = (3, 4, 5)
    length: float = 60.0
    calm: float = 100.0
    least_calm: float = 30.0
    rates: tuple = (3.0, 8.0, 20.0)
    jitters: tuple = (0.0, 0.01, 0.05)
    strength: float = 1.0
    slow_at: tuple = ()
    thinks: float = 4.0
    script: tuple = ()
    consumers: bool = False
    deletes: float = 0.06
    volumes: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a schedule consists of, beside its seed."""

    faults: tuple
    hosts: int
    conductors: int
    replicas: int
    users: int
    length: float
    calm: float
    least_calm: float
    rate: float
    jitter: float
    strength: float
    slow_at: tuple
    thinks: float
    script: tuple = ()
    consumers: bool = False
    deletes: float = 0.06
    volumes: bool = False


# One host, a quarter of the work, a short rest.
_SHORT = {'hosts': (1,), 'conductors': (1,), 'replicas': (0, 1),
          'users': (2,), 'length': 15.0, 'least_calm': 10.0,
          'rates': (2.0, 5.0)}
# As short, and dense: users hardly think.
_DENSE = {**_SHORT, 'length': 40.0, 'users': (3,), 'rates': (6.0,),
          'thinks': 2.0, 'jitters': (0.01, 0.05)}
_WITH_REPLICAS = {**_DENSE, 'replicas': (1, 2)}
_ECHOES = {**_DENSE, 'thinks': 0.5, 'strength': 5.0,
           'slow_at': ('dispatch',)}
_RECORDS = ('driver', 'guest_dies', 'guest_starts', 'slow')
_AT_ODDS = {'strength': 3.0, 'slow_at': ('dispatch',)}
_PURGES = ('purge', 'files', 'guest_returns', 'crash_host', 'twice')
_AGAIN = {'chance': 0.8, 'deletes': 0.4, 'script': tuple(
    (at, 'purge') for at in range(8, 40, 3))}
_FULL = {'conductors': (2,), 'replicas': (2,)}

PROFILES = {
    'swarm': Profile(faults.ALL, chance=0.3, consumers=True, volumes=True),
    'full': Profile(faults.ALL, chance=0.3, consumers=True, volumes=True,
                    **_FULL),
    'short': Profile(faults.ALL, chance=0.3, consumers=True, volumes=True,
                     **_SHORT),
    'quiet': Profile(()),
    # Users attach and detach all the time, and hosts end in between.
    'volumes': Profile(
        ('crash_host', 'lose_reply', 'slow', 'lag', 'twice'), chance=0.5,
        volumes=True, **_WITH_REPLICAS),
    'failovers': Profile(
        ('fail_over', 'switch_over', 'db_restart', 'crash_conductor',
         'lose_commit', 'cut_db', 'wrong_database'), chance=0.6,
        **{**_WITH_REPLICAS, 'conductors': (2,)}),
    'losses': Profile(
        ('fail_over_lagging', 'restore', 'restore_unsaid', 'fail_back',
         'lag', 'crash_host'), chance=0.7, **_WITH_REPLICAS),
    'copies': Profile(
        ('clone', 'second', 'crash_host', 'freeze_host', 'cut_rpc', 'late',
         'slow'), chance=0.7, script=((5, 'second'),),
        **{**_DENSE, 'least_calm': 30.0}),
    'lateness': Profile(
        ('late', 'twice', 'freeze_long', 'freeze_host', 'lose_reply'),
        chance=0.7, **{**_DENSE, 'length': 60.0}),
    'replicas': Profile(
        ('lag', 'slow_reads', 'stall_replica', 'freeze_conductor'),
        chance=0.8, slow_at=('committed',), **_WITH_REPLICAS),
    'crashes': Profile(
        ('crash_host', 'crash_conductor', 'reboot_machine', 'slow',
         'lose_commit', 'lose_reply', 'driver', 'hang', 'lies', 'fill_disk',
         'lose_state'), chance=0.5,
        rates=(3.0, 8.0)),
    # The driver takes longer than a build or a reboot may.
    'hangs': Profile(
        ('hang',), **{**_DENSE, 'strength': 10.0, 'length': 60.0}),
    # The moment after an act, before its end is in the journal.
    'gaps': Profile(('crash_host', 'lose_reply', 'slow'), **_DENSE),
    # Requests that arrive after they were given up or done.
    'ghosts': Profile(
        ('late', 'twice', 'lose_reply', 'guest_dies', 'slow'), strength=2.0,
        slow_at=('dispatch',), **_DENSE),
    # Requests that arrive once more, later; records among them.
    'echoes': Profile(('twice',), **_ECHOES),
    'old-records': Profile(('twice', 'driver'), **_ECHOES),
    # Consumers listen, and the broker is away now and then.
    'told': Profile(('mute', 'twice', 'lose_reply', 'slow', 'lose_commit'),
                    chance=0.5, consumers=True, **_DENSE),
    # Hosts report their instances, and somebody dies or waits meanwhile.
    'audits': Profile(
        ('mute', 'twice', 'lose_reply', 'lose_commit', 'crash_host',
         'crash_conductor', 'lag'), chance=0.6, consumers=True,
        volumes=True, **{**_WITH_REPLICAS, 'length': 60.0}),
    # Users use consoles.
    'consoles': Profile(
        ('twice', 'lose_reply', 'late', 'lag', 'crash_host', 'slow'),
        chance=0.5, consumers=True, **_WITH_REPLICAS),
    # Conductors are away, and ends are told late.
    'ends': Profile(
        ('crash_conductor', 'lose_commit', 'lose_reply', 'slow'), chance=0.8,
        strength=2.0, **_DENSE),
    # Records of what the hypervisor did not tell in time. It is rare that
    # one arrives just when somebody acts, so that takes long.
    'records': Profile(_RECORDS, **_DENSE, **_AT_ODDS),
    'long-records': Profile(
        _RECORDS, **{**_DENSE, 'length': 400.0}, **_AT_ODDS),
    # Restores that a replica does not show yet.
    'restores': Profile(
        ('lag', 'stall_replica', 'lose_reply'), chance=0.7, deletes=0.4,
        **{**_WITH_REPLICAS, 'length': 60.0}),
    # The same, shortly before it is too late for them.
    'late-restores': Profile(
        ('lag', 'stall_replica'), deletes=0.8, strength=2.0, **{
            **_WITH_REPLICAS, 'thinks': 8.0, 'length': 400.0}),
    # Files of deleted instances stay at first.
    'files': Profile(
        ('files', 'crash_host', 'lose_reply', 'slow'), chance=0.8,
        deletes=0.4, strength=1.6, **{**_DENSE, 'least_calm': 60.0}),
    # An operator purges rows while files and guests are left, or while they
    # are to be reported.
    'purges': Profile(_PURGES, **_AGAIN, **_DENSE),
    'told-purges': Profile(_PURGES, consumers=True, **_AGAIN, **_DENSE),
    # An operator decides about what a loss has left.
    'decisions': Profile(
        ('reconcile', 'crash_host', 'lose_reply', 'slow'), chance=0.8,
        script=((15, 'restore'), *((at, 'reconcile')
                                   for at in range(18, 40, 2))), **_DENSE),
    # The clock of the database jumps while something must not last too long.
    'jumps': Profile(('wall_db', 'hang'), chance=0.7, deletes=0.4, **_DENSE),
    # Guests are there again after their delete.
    'returns': Profile(
        ('guest_returns', 'lag', 'crash_host', 'lose_reply', 'slow'),
        chance=0.9, deletes=0.4, **{**_WITH_REPLICAS, 'rates': (3.0,)}),
    **{f'alone-{name}': Profile((name,)) for name in faults.ALL},
    **{f'former-{name}': Profile((), script=one.script, **{
        **_SHORT, 'length': 35.0, 'replicas': (0,), **one.cell})
       for name, one in former.ALL.items()},
}


def split(seed):
    """Return the profile and the number of a seed such as ``swarm:12``.

    :raises ValueError: it is none
    """
    name, _, number = seed.partition(':')
    if name not in PROFILES or not number.isdecimal():
        raise ValueError(
            f'{seed!r} is no seed. Give PROFILE:NUMBER; profiles: '
            f'{", ".join(sorted(PROFILES))}.')
    return PROFILES[name], int(number)


def plan(seed):
    """Draw the plan of a seed."""
    profile, _ = split(seed)
    draw = random.Random(f'{seed}/plan')
    on = tuple(name for name in profile.names
               if draw.random() < profile.chance)
    replicas = draw.choice(profile.replicas)
    if faults.NEED_REPLICA.intersection(on):
        replicas = max(1, replicas)
    return Plan(on, draw.choice(profile.hosts),
                draw.choice(profile.conductors), replicas,
                draw.choice(profile.users), profile.length, profile.calm,
                profile.least_calm, draw.choice(profile.rates),
                draw.choice(profile.jitters), profile.strength,
                profile.slow_at, profile.thinks, profile.script,
                profile.consumers, profile.deletes, profile.volumes)
