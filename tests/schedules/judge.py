"""What users asked and were told, and what was done to their guests.

The judge asks our code nothing. It sees requests and answers, acts on guests,
and what the true primary has at that moment. From this it knows what each
guest may rightly be (its *wishes*). This module judges acts and requests:
I1 and I7 of the page "How we know".
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


def fits(wish, state):
    """Return whether a guest in this state is what is wished."""
    return state == wish or wish == DELETED and state in (OFF, GONE)


@dataclasses.dataclass(eq=False)
class Request:
    """A request of a user.

    :ivar ended: when its caller was told, or gave up; None: it still waits
    :ivar outcome: what the caller was told
    :ivar done: whether an act for it was seen
    :ivar forgotten: whether its host has lost its state meanwhile
    :ivar hopeless: whether it must be refused, because the guest was off when
        it was sent, and nobody had asked for anything else
    """

    op: str
    ended: float | None = None
    outcome: str = PENDING
    done: bool = False
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
    """

    uuid: str
    machine: object
    wishes: set = dataclasses.field(default_factory=lambda: {GONE})
    requests: list = dataclasses.field(default_factory=list)
    reboots: collections.Counter = dataclasses.field(
        default_factory=collections.Counter)
    born: str = PENDING
    deleted_at: float = 0.0

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
    def serves_request(self):
        """Return whether it is what a user asked for.

        A daemon that starts ends builds that nobody will finish.
        """
        return self.op in MAKES and (self.op, self.what) != (
            'build', 'destroy')


class Judge:
    """Sees everything, and finds what must not be.

    :ivar found: ``[(kind, time, text)]``: what was wrong
    :ivar looks: how often each kind of thing was seen
    :ivar losses: ``[(time, text)]``: when the database lost commits
    :ivar moved: the hosts that another machine has taken over
    """

    def __init__(self, clock, tell, claim_of):
        """:param clock: returns virtual seconds
        :param tell: adds a line to the story
        :param claim_of: returns the claim that the true primary has on an
            instance
        """
        self._clock, self._tell, self._claim_of = clock, tell, claim_of
        self.guests = {}
        self.found, self.losses = [], []
        self.looks = collections.Counter()
        self._under_way, self.acted_under = {}, set()
        # The machines that have lost their state.
        self.forgetful = []
        self.moved = set()
        # Whether the clock of a database has jumped.
        self.jumped = False
        # {claim id: when it was granted}
        self._granted = {}

    def now(self):
        """Return the virtual time, in seconds."""
        return self._clock()

    def fail(self, kind, text):
        """Note that an invariant does not hold."""
        self._tell(f'WRONG {kind}: {text}')
        self.found.append((kind, self._clock(), text))

    def lost(self, text):
        """The database has lost commits."""
        self.losses.append((self._clock(), text))
        self._tell(text)

    # -- users

    def creates(self, uuid, machine):
        """A user creates an instance."""
        self.guests[uuid] = Guest(uuid, machine)
        return self.guests[uuid]

    def created(self, guest, outcome):
        guest.born = outcome
        self.looks[f'create:{outcome}'] += 1

    def asks(self, guest, op):
        """A user sends a request."""
        request = Request(op, hopeless=op in OF_RUNNING and (
            guest.wishes == {OFF}))
        guest.requests.append(request)
        return request

    def told(self, guest, request, outcome):
        """A user learns what became of a request, or gives it up."""
        request.outcome, request.ended = outcome, self._clock()
        self.looks[f'request:{outcome}'] += 1
        if outcome == REFUSED:
            if request.done:
                self.fail('refused-but-done', f'{request.op} of {guest}')
        elif not request.done:
            guest.wishes = guest.wishes | {MAKES[request.op]}

    # -- guests

    def claimed(self, claim_id):
        """The primary shows a claim."""
        self._granted.setdefault(claim_id, self._clock())

    def begins(self, act):
        """A call of the driver begins."""
        key = act.host[0], act.uuid
        other = self._under_way.get(key)
        if other and other.host == act.host and (
                other.claim_id != act.claim_id):
            self.fail('two-acts', f'{act.what} of {act.uuid[:4]} under '
                      f'{act.operation} during {other.what}')
        self._under_way[key] = act
        self.looks[f'act:{act.operation}'] += 1
        self.acted_under.add(act.claim_id)
        if not self.losses and self._claim_of(act.uuid) != act.claim_id:
            self.fail('act-without-claim', f'{act.what} of {act.uuid[:4]} '
                      f'under {act.operation}')

    def acted(self, act, before, after, failed):
        """It has ended.

        :param before: the power state of the guest, or None; ``after`` too
        """
        self._under_way.pop((act.host[0], act.uuid), None)
        self._tell('{}.{} {} {} {}->{} ({})'.format(
            *act.host, act.what, act.uuid[:4], before, after, act.operation))
        guest = self.guests.get(act.uuid)
        if guest is None:
            self.fail('act-on-nobody', f'{act.what} of {act.uuid[:4]}')
            return
        was, is_ = before in states.ON, after in states.ON
        state = GONE if after is None else ON if is_ else OFF
        # Judged by what was right before this act.
        if act.serves_request:
            self._ensure_asked(guest, act, before)
        elif act.operation.startswith('_') and before and state == GONE:
            self._ensure_may_destroy(guest, act)
        elif was and (not is_ or act.what == 'reboot'):
            if self._undoes(act):
                guest.wishes = guest.wishes | {GONE}
            self._ensure_may_end(guest, act)
        elif is_ and not was:
            self._ensure_may_start(guest, act)
        self._note(guest, act, state, failed,
                   changes=act.serves_request or before != after)

    def ended(self, act):
        """An act has ended that leaves the guest on or off as it was."""
        self._under_way.pop((act.host[0], act.uuid), None)

    def _note(self, guest, act, state, failed, changes):
        """Note which request this act was for, and what is right now."""
        for request in guest.requests:
            if request.open and (
                    act.serves_request and request.op == act.op or
                    act.op == 'recover' and (
                        fits(MAKES[request.op], state) or
                        # A guest that has ended cannot be paused, and one
                        # that was half built is removed.
                        failed and act.what == request.op or
                        (request.op, act.what) == ('build', 'destroy'))):
                request.done = True
                if not failed and fits(MAKES[request.op], state):
                    guest.deleted_at = self._clock()
                    # What changes nothing may finish another request.
                    former = set() if changes else guest.wishes
                    guest.wishes = former | {MAKES[request.op]} | {
                        MAKES[other.op] for other in guest.requests
                        if other.open}
                break

    def _ensure_asked(self, guest, act, before):
        # From then on everybody sees that it is under way.
        now = self._granted.get(act.claim_id, self._clock())
        asked = [one for one in guest.requests
                 if one.op == act.op and one.outcome != REFUSED]
        if not asked:
            self.fail('unasked', f'{act.what} of {guest} under {act.op}')
        elif not any(one.may_begin(now) for one in (
                [one for one in asked if not one.done] or asked)):
            self.fail('late', f'{act.op} of {guest} begun '
                      f'{now - max(one.ended for one in asked):.0f} s after '
                      'it was given up')
        left = [one for one in asked if not one.done]
        if not self.losses and before not in states.ON and left and all(
                one.hopeless for one in left):
            self.fail('wrong-state', f'{act.op} of {guest}, which is stopped')
        if act.what == 'reboot':
            guest.reboots[act.op] += 1
            if guest.reboots[act.op] > len(asked):
                self.fail('twice', f'{act.op} of {guest}')

    def _undoes(self, act):
        """Return whether a build is undone that took too long."""
        return (act.op, act.what) == ('build', 'destroy') and (
            self._clock() - self._granted.get(act.claim_id, self._clock()) >
            BUILD_LIMIT - 1)

    def _ensure_may_end(self, guest, act):
        if guest.wishes == {ON} and not guest.expects(ENDS, self._clock()):
            self.fail('killed', f'{act.what} of {guest} on {act.host[0]} '
                      f'under {act.operation}: its user wants it on')

    def _ensure_may_destroy(self, guest, act):
        """A task deletes only what users have deleted, and not at once."""
        if not {GONE, DELETED} & guest.wishes and (
                not guest.expects(DELETES, self._clock())):
            self.fail('destroyed', f'{guest} under {act.operation}: its user '
                      f'wants {sorted(guest.wishes)}')
        elif guest.wishes == {DELETED} and (
                self._clock() < guest.deleted_at + KEPT - 2):
            self.fail('early', f'{guest} can be restored for longer')

    def _ensure_may_start(self, guest, act):
        if ON not in guest.wishes and (
                not guest.expects(STARTS, self._clock())):
            self.fail('started', f'{act.what} of {guest} on {act.host[0]} '
                      f'under {act.operation}: its user wants '
                      f'{sorted(guest.wishes)}')

    def befalls(self, uuid, what):
        """A guest ends, or is started, behind everybody's back."""
        guest = self.guests.get(uuid)
        self._tell(f'guest {uuid[:4]} {what}')
        if guest is not None:
            # Our code may record that, or undo it.
            guest.wishes = guest.wishes | {OFF} | (
                {ON} if DELETED in guest.wishes else set())

    def forgets(self, machine):
        """A machine has lost its state: what was begun may stay undone."""
        for guest in self.guests.values():
            if guest.machine is machine:
                guest.wishes = guest.wishes | {state_of(
                    machine.guests.infos.get(guest.uuid))}
                for request in guest.requests:
                    request.forgotten = request.open
        self.forgetful.append(machine)

    def crashed(self, machine):
        """A daemon has died; what it did has no end."""
        for key in [key for key in self._under_way if key[0] == machine]:
            del self._under_way[key]
