"""What users ask of their guests, and what was done to those.

Data that the judge keeps, and the words for it.
"""

import collections
import dataclasses

from computed import states

ON, OFF, GONE = 'on', 'off', 'gone'
# Off for now, and gone for good later.
DELETED = 'deleted'
# What each request makes of a guest when it is carried out.
MAKES = {'build': ON, 'start': ON, 'stop': OFF, 'reboot': ON,
         'reboot_hard': ON, 'pause': ON, 'unpause': ON, 'delete': GONE,
         'soft_delete': DELETED, 'restore': ON}
# Which of them end a guest that runs, and which start one.
ENDS = ('stop', 'reboot', 'reboot_hard', 'delete', 'soft_delete')
# Only of an instance that runs.
OF_RUNNING = ('reboot', 'pause', 'unpause')
STARTS = ('build', 'start', 'reboot', 'reboot_hard', 'restore')
DELETES = ('delete', 'soft_delete')
# Seconds after its caller gave it up in which a request may still begin.
LATE = 30.0
# Seconds for which a deleted instance can be restored.
KEPT = 6
# Seconds after which the files of a deleted instance are removed again.
RETRY = 10
# Seconds that a build may take.
BUILD_LIMIT = 15
PENDING, ACCEPTED, REFUSED, UNKNOWN = (
    'pending', 'accepted', 'refused', 'unknown')


def state_of(info):
    """Return what a guest is.

    :param info: of the driver, or None
    """
    return (GONE if info is None else
            ON if info.power_state in states.ON else OFF)


def of_record(vm_state):
    """Return what a guest may become if its record counts.

    :param vm_state: None: there is no record, and the guest is left alone
    """
    return {'active': {ON}, 'paused': {ON}, 'stopped': {OFF},
            'soft-delete': {DELETED}, 'deleted': {GONE}}.get(
                vm_state, {ON, OFF, GONE})


def fits(wish, state):
    """Return whether a guest in this state is what is wished."""
    return state == wish or wish == DELETED and state in (OFF, GONE)


@dataclasses.dataclass(eq=False)
class Request:
    """A request of a user.

    :ivar ended: when its caller was told, or gave up; None: it still waits
    :ivar outcome: what the caller was told
    :ivar done: whether an act for it was seen
    :ivar surely: whether that act was for it. A recovery that leaves a guest
        as it was may have finished another request.
    :ivar forgotten: whether its host has lost its state meanwhile
    :ivar hopeless: whether it must be refused, because the guest was off when
        it was sent, and nobody had asked for anything else
    """

    op: str
    ended: float | None = None
    outcome: str = PENDING
    done: bool = False
    surely: bool = False
    forgotten: bool = False
    hopeless: bool = False

    @property
    def open(self):
        """Return whether it may still have an effect that was not seen."""
        return not self.done and self.outcome != REFUSED

    def may_begin(self, now):
        """Return whether it is right to begin it now."""
        return (self.ended is None or self.outcome == ACCEPTED or
                now <= self.ended + LATE)


@dataclasses.dataclass(eq=False)
class Guest:
    """What is known of one instance and its guest.

    :ivar wishes: what the guest may rightly be, by all that its user was
        told and that befell it
    :ivar machine: where its guest is
    :ivar born: what its user was told when it was created
    :ivar deleted_at: when the last of its requests was done
    :ivar decided: whether an operator has decided about it, and nothing was
        lost since
    """

    uuid: str
    machine: object
    wishes: set = dataclasses.field(default_factory=lambda: {GONE})
    requests: list = dataclasses.field(default_factory=list)
    reboots: collections.Counter = dataclasses.field(
        default_factory=collections.Counter)
    born: str = PENDING
    deleted_at: float = 0.0
    decided: bool = False

    def __str__(self):
        return self.uuid[:4]

    def expects(self, ops, now):
        """Return whether a request of one of ``ops`` may be at work."""
        return any(one.open and one.op in ops and one.may_begin(now)
                   for one in self.requests)


@dataclasses.dataclass(frozen=True)
class Act:
    """A call of the driver that changes a guest, under a claim.

    :ivar host: ``(machine, life)``: which run of which daemon acts
    :ivar operation: that of the claim
    """

    uuid: str
    what: str
    host: tuple
    claim_id: str
    operation: str

    @property
    def op(self):
        return self.operation.replace(' --hard', '_hard').replace(
            'soft delete', 'soft_delete')

    @property
    def for_op(self):
        """Return the request for which a recovery makes this call."""
        return {'power_off': 'stop', 'power_on': 'start'}.get(
            self.what, self.what)

    @property
    def serves_request(self):
        """Return whether it is what a user asked for.

        A daemon that starts ends builds that nobody will finish.
        """
        return self.op in MAKES and (self.op, self.what) != (
            'build', 'destroy')
