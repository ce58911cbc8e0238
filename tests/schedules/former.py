"""Faults that our code had, and for each a scenario that shows it again.

A scenario is a small schedule whose faults have their times. Its seeds are
``former-NAME:0`` and so on. They are right now, and go wrong when the guard
that mends the fault is removed: see :data:`.mutations.ALL`.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Former:
    """A fault that was found once.

    :ivar fault: what was wrong, in plain words
    :ivar mutation: which removed guard brings it back
    :ivar script: ``((seconds of work, fault), ...)``
    :ivar cell: what the cell has beside one host, one conductor and two users
    """

    fault: str
    mutation: str
    script: tuple
    cell: dict = dataclasses.field(default_factory=dict)


ALL = {
    'clone': Former(
        "A copy of a host's disk took the live host at once. The first "
        'daemon then ended its guests.',
        'a copy of a disk is the same run', ((12, 'clone'),)),
    'database-clock': Former(
        'The clock of the database jumped by an hour, and a second daemon '
        'took a live host.',
        'the clock of the database tells who is silent',
        ((5, 'second'),
         *((at, 'wall_db') for at in range(8, 32, 3)))),
    'restore': Former(
        'A dump was restored, and the sync of power states switched a '
        'wanted guest off.',
        'a regressed row is not noticed', ((25, 'restore'),)),
    'restore-crash': Former(
        'A dump was restored, and a restart finished a claim that the dump '
        'had revived.',
        'a claim that nobody remembers is finished',
        ((0, 'slow'), (12, 'restore'), (13, 'crash_host'),
         (33, 'restore'), (34, 'crash_host')), {'users': (4,)}),
    'restore-unsaid': Former(
        'A dump was restored, nobody began a new incarnation, and nothing '
        'noticed it.',
        'a clock that went back is not noticed', ((25, 'restore_unsaid'),)),
    'lagging-replica': Former(
        'A failover to a replica that lagged switched guests off that had '
        'been started.',
        'a regressed row is not noticed',
        ((5, 'stall_replica'), (25, 'fail_over_lagging')),
        {'replicas': (1,)}),
    'asleep': Former(
        'A host that had slept carried out what its user had given up.',
        'a request to a host has no ticket', ((5, 'freeze_long'),),
        {'length': 70.0, 'conductors': (1,)}),
    'late': Former(
        'A message that arrived late was carried out after its user had '
        'given it up.',
        'a late request is carried out', ((0, 'late'),),
        {'users': (5,), 'length': 60.0}),
    'killed-build': Former(
        'A daemon that was killed during a build left the guest running, '
        'and its instance in the state error.',
        'a build that was interrupted is forgotten',
        ((0, 'slow'), (3, 'crash_host'), (6, 'crash_host'))),
    'demoted-primary': Former(
        'A strict read lacked a write, because the former primary lived on '
        'with open sessions.',
        'a demoted primary answers',
        tuple((at, 'switch_over') for at in range(4, 34, 3)),
        {'conductors': (2,), 'replicas': (1,)}),
    'former-service': Former(
        'A host that was taken over kept the claims of its former service.',
        'claims of a former service stay', ((0, 'slow'), (12, 'lose_state')),
        {'length': 50.0}),
    'undone': Former(
        'A host with a new state path stopped a guest that its user had '
        'started, because the start had not been recorded.',
        'what a former service has done is undone',
        ((0, 'slow'), *((at, 'lose_state') for at in (12, 40, 68))),
        {'users': (5,), 'length': 90.0}),
    'forgotten': Former(
        'A host lost its state path, and a dump was restored: guests that had '
        'been started were stopped.',
        'what runs and nobody remembers is ended',
        ((30, 'lose_state'), (31, 'restore')), {'users': (5,)}),
    'create-twice': Former(
        'The second delivery of a create failed, though its row was there.',
        'a repeated create is refused',
        ((0, 'twice'), (0, 'lose_reply')), {'users': (5,)}),
    'exact-read': Former(
        'A read of sums over all hosts said that it was exact, and was as '
        'old as its replica.',
        'every read after a host is exact', ((0, 'lag'),),
        {'hosts': (2,), 'replicas': (1,)}),
    'wrong-database': Former(
        'The address led to another database, and it was used.',
        'another database is not noticed', ((15, 'wrong_database'),)),
}
