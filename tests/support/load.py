"""Reads and writes of a host side by side, and a ledger to judge them by.

The ledger knows what was acknowledged and when. It is the test's own: the
programs' word about ages and errors is checked against it.
"""

import contextlib
import threading
import time
import traceback
import uuid

from computed import context
from computed import exception
from computed.claims import recovery
from computed.objects import instance as instance_obj
from tests.support import fixtures

# Of an instance whose name is a number that only grows, and of one that is
# claimed again and again.
COUNTER, CLAIMED = (f'{number}0000000-0000-4000-8000-000000000000'
                    for number in (1, 2))

# What a write may fail with while there is no primary, or nobody to reach it
# by: nothing was written, or nobody knows.
NOTHING = (exception.PrimaryUnavailable, exception.PrimaryReadOnly)
FAILURES = (*NOTHING, exception.OutcomeUnknown, exception.ConductorUnavailable)

# Between two requests of one thread, so that the lists stay short.
PACE = 0.02


class Load:
    """Five threads of a host; use it as a context.

    :ivar counts: ``[(when it was acknowledged, number)]``
    :ivar created: uuids of instances whose creation was acknowledged
    :ivar refused: uuids of those of which it was said that nothing was
        written
    :ivar failures: ``[(when it was sent, what)]`` of writes
    :ivar strict_failures: the same of strict reads
    :ivar put_off: failures and refusals of tolerant reads
    :ivar problems: what must not happen, as text
    :ivar judging: whether answers are judged by the ledger; a test that
        loses what was acknowledged ends it
    """

    def __init__(self, claims, late=False):
        """:param late: whether a write of which nobody knows may come true
            after the next one was begun
        """
        self.claims = claims
        self.late = late
        self.counts = [(time.monotonic(), 0)]
        self.created, self.refused = [], []
        self.failures, self.strict_failures = [], []
        self.put_off, self.problems = [], []
        self.tolerant = self.strict = self.granted = 0
        self.judging = True
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(work,), daemon=True)
            for work in (self._create, self._count, self._claim,
                         self._read_strictly, self._read_tolerantly)]

    def __enter__(self):
        for number in (COUNTER, CLAIMED):
            instance_obj.Instance(context.new(), **{
                **fixtures.INSTANCE, 'uuid': number, 'name': '0'}).create()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def count(self):
        """The highest number that was acknowledged."""
        return self.counts[-1][1]

    @property
    def trouble(self):
        """How many requests failed or were put off."""
        return sum(map(len, (self.failures, self.strict_failures,
                             self.put_off)))

    def acknowledged_at(self, moment):
        """The highest number that was acknowledged by then."""
        return max((number for when, number in list(self.counts)
                    if when <= moment), default=0)

    def all_go_on(self):
        """A function that tells whether every thread got on since."""
        def state():
            return (len(self.created), len(self.counts), self.granted,
                    self.strict, self.tolerant)
        before = state()
        return lambda: all(now > then for now, then in
                           zip(state(), before, strict=True))

    def wrong(self, there):
        """What is wrong after it ended, by what is in the database.

        :param there: ``{uuid: name}`` of the instances
        """
        return {key: value for key, value in {
            'lost': set(self.created) - there.keys(),
            'done although refused': set(self.refused) & there.keys(),
            'counted back': int(there[COUNTER]) < self.count,
            'problems': self.problems}.items() if value}

    def _repeat(self, work):
        while not self._stopping.wait(PACE):
            try:
                work()
            except Exception:   # noqa: BLE001, whatever it is, it is wrong
                self.problems.append(traceback.format_exc())

    @contextlib.contextmanager
    def _may_fail(self, failures):
        began = time.monotonic()
        try:
            yield
        except FAILURES as error:
            failures.append((began, error))

    def _create(self):
        wanted = str(uuid.uuid4())
        with self._may_fail(self.failures):
            try:
                instance_obj.Instance(context.new(), **{
                    **fixtures.INSTANCE, 'uuid': wanted}).create()
            except NOTHING:
                self.refused.append(wanted)
                raise
            self.created.append(wanted)

    def _count(self):
        with self._may_fail(self.failures):
            found = instance_obj.Instance.get_by_uuid(context.new(), COUNTER)
            number = int(found.name) + 1
            found.name = str(number)
            try:
                found.save()
            except exception.InstanceChanged:
                # Only where what was read is lost before it is written, or
                # an earlier one was written after all.
                if self.judging and not self.late:
                    raise
                return
            self.counts.append((time.monotonic(), number))

    def _claim(self):
        with self._may_fail(self.failures):
            try:
                claim = self.claims.claim(context.new(), CLAIMED, 'try',
                                          {'vm_state': 'active'})
            except exception.ClaimLost:
                # Held still, for nobody answered its end, or that was lost:
                # told again, and released, as the passes of a host do.
                recovery.replay(self.claims, context.new())
                recovery.release_orphaned(self.claims, context.new(), [
                    instance_obj.Instance.get_by_uuid(context.new(),
                                                      CLAIMED)])
                return
            if self.claims.release(context.new(), claim):
                self.granted += 1

    def _read_strictly(self):
        with self._may_fail(self.strict_failures):
            known = self.count
            found = instance_obj.Instance.get_by_uuid(context.new(), COUNTER)
            self.strict += 1
            if self.judging and int(found.name) < known:
                self.problems.append(
                    f'a strict read by {found.origin} says {found.name} '
                    f'after {known} had been acknowledged')

    def _read_tolerantly(self):
        ctxt = context.new()
        try:
            found = instance_obj.Instance.get_by_uuid(
                ctxt, COUNTER, use_slave=True)
        except (exception.PutOff, *FAILURES) as error:
            self.put_off.append(error)
            return
        self.tolerant += 1
        known = self.acknowledged_at(
            ctxt.reads.last_at - found.origin.age)
        if self.judging and int(found.name) < known:
            self.problems.append(
                f'a tolerant read by {found.origin} says {found.name} after '
                f'{known} had been acknowledged')
