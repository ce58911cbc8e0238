"""Users who start and stop their instances, and guests that end by
themselves, while passes look at both.

What must never happen is seen from the guests' side: a guest that its user
has started, and nobody stopped, is off.
"""

import contextlib
import random
import threading
import time
import traceback

import oslo_messaging as messaging

from computed import context
from computed import exception
from computed import states
from computed.claims import recovery
from computed.objects import instance as instance_obj
from computed.virt import memory
from tests.support import fixtures

# Each has an instance of its own; the guests of some end by themselves.
USERS, MORTALS = 4, 2
# While these last, a request is made again.
TROUBLE = (exception.PrimaryUnavailable, exception.PrimaryReadOnly,
           exception.OutcomeUnknown, exception.ConductorUnavailable,
           exception.PutOff, exception.InstanceBusy)


class Guests:
    """Use it as a context; :ivar problems: what must not happen, as text."""

    def __init__(self, side, seed):
        self.problems = []
        self.passes = self.acted = self.starts = self.deaths = 0
        self._seed = seed
        self._virt = memory.MemoryDriver(side.conf)
        self.manager = side.manager(self._virt)
        self._stopping = threading.Event()
        self.uuids = [f'{number:08}-0000-4000-8000-00000000000a'
                      for number in range(USERS + MORTALS)]
        works = [(self._use, number) for number in range(USERS)]
        works += [(self._die, number)
                  for number in range(USERS, USERS + MORTALS)]
        self._threads = [
            threading.Thread(target=self._guarded, args=work)
            for work in [*works, (self._pass, -1)]]

    def __enter__(self):
        for uuid in self.uuids:
            instance_obj.Instance(context.new(), **{
                **fixtures.INSTANCE, 'uuid': uuid, 'name': uuid}).create()
            self._virt.add_foreign(uuid, self.manager.claims.owner,
                                   states.RUNNING)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    def _guarded(self, work, number):
        try:
            work(number, random.Random(f'{self._seed} {number}'))
        except Exception:
            self.problems.append(traceback.format_exc())

    def _pass(self, number, chance):
        while not self._stopping.wait(0.1):
            with contextlib.suppress(*TROUBLE):
                report = self.manager._sync_power_states(context.new())
                self.passes += 1
                self.acted += report.acted
            self._replay()

    def _replay(self):
        with contextlib.suppress(*TROUBLE):
            recovery.replay(self.manager.claims, context.new())

    def row(self, uuid):
        return instance_obj.Instance.get_by_uuid(context.new(), uuid)

    def power(self, uuid):
        return self.manager.driver.get_instance(uuid).power_state

    def settled(self, uuid, vm_state):
        """Wait until nobody works on it and it is in this state, whatever
        fails meanwhile; False: the run is over.
        """
        while not self._stopping.wait(0.02):
            with contextlib.suppress(*TROUBLE):
                found = self.row(uuid)
                if found.task_state or found.claim_id:
                    continue
                if found.vm_state == vm_state:
                    return True
                self._ask(uuid, vm_state)
        return False

    def _ask(self, uuid, vm_state):
        ask = (self.manager.start_instance if vm_state == states.ACTIVE
               else self.manager.stop_instance)
        try:
            ask(context.new(), uuid)
        except messaging.ExpectedException as answer:
            refusal = answer.exc_info[1]
            # It may have been done already, by a request that got no answer.
            if not isinstance(refusal, exception.InstanceInWrongState):
                raise refusal from None

    def _use(self, number, chance):
        """Stop, start, and look whether the guest is left alone."""
        uuid = self.uuids[number]
        while self.settled(uuid, states.STOPPED) and self.settled(
                uuid, states.ACTIVE):
            self.starts += 1
            until = time.monotonic() + chance.uniform(0, 3)
            while time.monotonic() < until:
                if (power := self.power(uuid)) != states.RUNNING:
                    self.problems.append(
                        f'{uuid} was started, but its guest is '
                        f'{states.power_name(power)}: {self.row(uuid)}')
                    return
                time.sleep(0.02)

    def _die(self, number, chance):
        """End by itself; the record follows, and it is started again."""
        uuid = self.uuids[number]
        while not self._stopping.wait(chance.uniform(0, 4)):
            self._virt.set_power_state(uuid, states.CRASHED, exit_code=1)
            self.deaths += 1
            # The pass does it, not we.
            while not self._stopping.wait(0.05):
                with contextlib.suppress(*TROUBLE):
                    if self.row(uuid).vm_state == states.STOPPED:
                        break
            self.settled(uuid, states.ACTIVE)

    def converged(self):
        """Whether records and guests agree, and nothing is claimed."""
        recovery.replay(self.manager.claims, context.new())
        self.manager._sync_power_states(context.new())
        rows = [self.row(uuid) for uuid in self.uuids]
        return all(
            found.claim_id is None and found.task_state is None and
            (found.vm_state == states.ACTIVE) ==
            (self.power(found.uuid) == states.RUNNING) for found in rows)
