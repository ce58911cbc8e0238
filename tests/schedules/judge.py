"""What users asked and were told, and what was done to their guests.

The judge asks our code nothing. It sees requests and answers, acts on guests,
and what the true primary has at that moment. From this it knows what each
guest may rightly be (its *wishes*). This module judges acts and requests:
I1 and I7 of the page "How we know".
"""

import collections

from computed import states
from tests.schedules import wishes


class Judge:
    """Sees everything, and finds what must not be.

    :ivar found: ``[(kind, time, text)]``: what was wrong
    :ivar looks: how often each kind of thing was seen
    :ivar losses: ``[(time, text)]``: when the database lost commits
    :ivar moved: the hosts that another machine has taken over
    """

    def __init__(self, clock, tell, shown):
        """:param clock: returns virtual seconds
        :param tell: adds a line to the story
        :param shown: returns the claim and the vm_state that the true primary
            has of an instance
        """
        self._clock, self._tell, self._shown = clock, tell, shown
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
        for guest in self.guests.values():
            guest.decided = False

    # -- users

    def creates(self, uuid, machine):
        """A user creates an instance."""
        self.guests[uuid] = wishes.Guest(uuid, machine)
        return self.guests[uuid]

    def created(self, guest, outcome):
        guest.born = outcome
        self.looks[f'create:{outcome}'] += 1

    def asks(self, guest, op):
        """A user sends a request."""
        request = wishes.Request(op, hopeless=op in wishes.OF_RUNNING and (
            guest.wishes == {wishes.OFF}))
        guest.requests.append(request)
        return request

    def told(self, guest, request, outcome):
        """A user learns what became of a request, or gives it up."""
        request.outcome, request.ended = outcome, self._clock()
        self.looks[f'request:{outcome}'] += 1
        if outcome == wishes.REFUSED:
            if request.surely:
                self.fail('refused-but-done', f'{request.op} of {guest}')
        elif not request.done:
            guest.wishes = guest.wishes | {wishes.MAKES[request.op]}

    # -- operators

    def decides(self, guest, keep_guest):
        """An operator asks that a guest be kept, or its record.

        :returns: what the guest may be then, beside what its user asks for
        """
        info = guest.machine.guests.infos.get(guest.uuid)
        right = ({wishes.state_of(info)} if keep_guest else
                 wishes.of_record(self._shown(guest.uuid)[1]))
        guest.wishes = guest.wishes | right
        return right

    def decided(self, guest, right):
        """The operator was told that it is done."""
        self.looks['decided'] += 1
        guest.decided = True
        guest.wishes = right | {wishes.MAKES[one.op] for one in guest.requests
                                if one.open}

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
        if not self.losses and self._shown(act.uuid)[0] != act.claim_id:
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
        state = (wishes.GONE if after is None else
                 wishes.ON if is_ else wishes.OFF)
        # Judged by what was right before this act.
        if act.serves_request:
            self._ensure_asked(guest, act, before)
        elif act.operation.startswith('_') and before and state == wishes.GONE:
            self._ensure_may_destroy(guest, act)
        elif was and (not is_ or act.what == 'reboot'):
            if self._undoes(act):
                guest.wishes = guest.wishes | {wishes.GONE}
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
                        wishes.fits(wishes.MAKES[request.op], state) or
                        # What has ended cannot be paused, what is gone
                        # cannot be stopped, and what was half built is
                        # removed.
                        failed and act.for_op == request.op or
                        (request.op, act.what) == ('build', 'destroy'))):
                request.done, request.surely = True, changes
                if not failed and wishes.fits(wishes.MAKES[request.op], state):
                    guest.deleted_at = self._clock()
                    # What changes nothing may finish another request.
                    former = set() if changes else guest.wishes
                    guest.wishes = former | {wishes.MAKES[request.op]} | {
                        wishes.MAKES[other.op] for other in guest.requests
                        if other.open}
                break

    def _ensure_asked(self, guest, act, before):
        # From then on everybody sees that it is under way.
        now = self._granted.get(act.claim_id, self._clock())
        asked = [one for one in guest.requests
                 if one.op == act.op and one.outcome != wishes.REFUSED]
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
        if (act.op, act.what) == ('recover', 'destroy'):
            # It was told to end, and its daemon died.
            return self._shown(act.uuid)[1] == states.ERROR
        return (act.op, act.what) == ('build', 'destroy') and (
            self._clock() - self._granted.get(act.claim_id, self._clock()) >
            wishes.BUILD_LIMIT - 1)

    def _ensure_may_end(self, guest, act):
        if guest.wishes == {wishes.ON} and (
                not guest.expects(wishes.ENDS, self._clock())):
            self.fail('killed', f'{act.what} of {guest} on {act.host[0]} '
                      f'under {act.operation}: its user wants it on')

    def _ensure_may_destroy(self, guest, act):
        """A task deletes only what users have deleted, and not at once."""
        if not {wishes.GONE, wishes.DELETED} & guest.wishes and (
                not guest.expects(wishes.DELETES, self._clock())):
            self.fail('destroyed', f'{guest} under {act.operation}: its user '
                      f'wants {sorted(guest.wishes)}')
        elif guest.wishes == {wishes.DELETED} and (
                self._clock() < guest.deleted_at + wishes.KEPT - 2):
            self.fail('early', f'{guest} can be restored for longer')

    def _ensure_may_start(self, guest, act):
        if wishes.ON not in guest.wishes and (
                not guest.expects(wishes.STARTS, self._clock())):
            self.fail('started', f'{act.what} of {guest} on {act.host[0]} '
                      f'under {act.operation}: its user wants '
                      f'{sorted(guest.wishes)}')

    def befalls(self, uuid, what):
        """A guest ends, or is started, behind everybody's back."""
        guest = self.guests.get(uuid)
        self._tell(f'guest {uuid[:4]} {what}')
        if guest is not None:
            # Our code may record that, or undo it.
            guest.wishes = guest.wishes | {wishes.OFF} | (
                {wishes.ON} if wishes.DELETED in guest.wishes else set())

    def forgets(self, machine):
        """A machine has lost its state: what was begun may stay undone."""
        for guest in self.guests.values():
            if guest.machine is machine:
                guest.decided = False
                guest.wishes = guest.wishes | {wishes.state_of(
                    machine.guests.infos.get(guest.uuid))}
                for request in guest.requests:
                    request.forgotten = request.open
        self.forgetful.append(machine)

    def crashed(self, machine):
        """A daemon has died; what it did has no end."""
        for key in [key for key in self._under_way if key[0] == machine]:
            del self._under_way[key]
