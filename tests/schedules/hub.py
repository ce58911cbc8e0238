"""A scheduler that owns time, and every choice of who runs next.

Threads of the code under test are greenlets (:mod:`tests.schedules.threads`).
A turn lets one of the ready tasks run until it waits. A random number that
the seed fixes picks it. If nobody is ready, time jumps to the next timer. So
the same seed repeats the same schedule, and waiting costs nothing.
"""

import functools
import hashlib
import heapq
import random

import greenlet

# Virtual seconds that a turn takes, so that code that spins is noticed.
TICK = 1e-5
# Turns in one virtual second that nothing but an endless loop needs.
LIVELOCK = 200_000
# What the monotonic clock shows at the beginning of each schedule.
BEGIN = 1000.0

running = None          # the hub of this schedule; None: code is imported
shared = []             # the locks of modules, which all processes share


class Over(greenlet.GreenletExit):
    """The schedule has ended."""


class Process:
    """What has an address space in reality: it crashes or freezes whole.

    :ivar wall: seconds by which its wall clock is wrong
    :ivar connections: to database servers; a crash severs them
    :ivar failures: ``(thread, error)`` of each thread that died of an error
    :ivar values: its values of module globals, and ``client``, through which
        it asks a conductor; see :mod:`.own`
    :ivar machine: what it runs on, or None
    """

    def __init__(self, hub, name, machine=None):
        self.hub, self.name, self.machine = hub, name, machine
        self.alive, self.frozen = True, False
        self.wall = 0.0
        self.connections, self.failures = [], []
        self.values = self.client = None
        self.tasks = set()
        self._parked = []

    def __repr__(self):
        return self.name

    def park(self, task):
        """Keep a task that became ready while the process is frozen."""
        self._parked.append(task)

    def freeze(self):
        """Stop as by SIGSTOP; what arrives is done after :meth:`thaw`."""
        self.frozen = True

    def thaw(self):
        self.frozen = False
        self.hub.ready += self._parked
        self._parked = []

    def kill(self):
        """End as by SIGKILL: no handler runs, and no ``finally``."""
        self.alive = False
        # A greenlet that is collected runs its ``finally``: keep it.
        self.hub.graveyard += [*self.tasks, *self._parked]
        self._parked = []
        for connection in self.connections:
            connection.sever()
        self.connections = []
        for lock in shared:
            lock.end(self)


class Task:
    """A thread of a process.

    :ivar snapshot: ``(server, commits)``: what its last read could see
    :ivar locals: what its ``threading.local`` objects have
    """

    __slots__ = ('process', 'name', 'ident', 'greenlet', 'token', 'woken',
                 'ended', 'snapshot', 'locals', '__weakref__')

    def __init__(self, process, name, ident):
        self.process, self.name, self.ident = process, name, ident
        self.locals = {}
        self.token = self.ended = self.snapshot = None
        self.woken = False

    def __repr__(self):
        return f'{self.process.name}/{self.name}'


class Hub:
    """The scheduler of one schedule.

    :ivar now: what the monotonic clock of every machine shows
    :ivar jitter: the chance that a point of a switch takes some time
    :ivar bias: ``{point: the chance that it takes up to 10 s}``
    :ivar digest: a hash of each turn and each line of the story
    :ivar story: ``(time, text)``: what happened, for people
    """

    def __init__(self, seed, jitter=0.0):
        self.random = random.Random(f'{seed}/hub')
        self.jitter, self.bias = jitter, {}
        self.now = BEGIN
        self.ready, self.timers, self.graveyard = [], [], []
        self.current = self.loaded = None
        self.turns = 0
        self.digest = hashlib.blake2b(digest_size=16)
        self.story = []
        self.over = False
        self._root = greenlet.getcurrent()
        self._numbers = self._idents = 100
        self._second, self._turns_in_it = 0, 0

    # -- what threads do

    def spawn(self, process, function, *args, name=None, **kwargs):
        """Start a thread of ``process``; return its task."""
        self._idents += 1
        task = Task(process, name or getattr(function, '__name__', 'task'),
                    self._idents)
        task.greenlet = greenlet.greenlet(functools.partial(
            self._body, task, function, args, kwargs), parent=self._root)
        process.tasks.add(task)
        self.ready.append(task)
        return task

    def _body(self, task, function, args, kwargs):
        try:
            function(*args, **kwargs)
        except (greenlet.GreenletExit, SystemExit):
            pass
        except BaseException as error:
            if not self.over:
                task.process.failures.append((task.name, error))
                self.tell(f'{task} died of {error!r}')
        finally:
            task.process.tasks.discard(task)
            if task.ended is not None and not self.over:
                task.ended()

    def block(self, until=None):
        """Wait for :meth:`wake`, or until a time; return whether woken."""
        if self.over:
            raise Over
        task = self.current
        if task is None:
            raise RuntimeError('the scheduler itself may not wait')
        self._numbers += 1
        task.token, task.woken = self._numbers, False
        if until is not None:
            heapq.heappush(self.timers, (until, self._numbers, task))
        self._yield()
        return task.woken

    def _yield(self):
        self._root.switch()
        if self.over:
            raise Over

    def wake(self, task):
        """Let a task go on that waits; any other is left alone."""
        if task.token is not None:
            task.token, task.woken = None, True
            self.ready.append(task)

    def sleep(self, seconds):
        """Wait; without seconds, only let others run."""
        if seconds > 0:
            self.block(self.now + seconds)
            return
        if self.over:
            raise Over
        if self.current is not None:
            self.ready.append(self.current)
            self._yield()

    def point(self, where=''):
        """Perhaps let others run here, or let time pass (1 ms to 10 s)."""
        if self.current is None:
            return
        chance = self.random.random()
        if self.bias and chance < self.bias.get(where, 0):
            self.sleep(self.random.random() * 10)
        elif chance < self.jitter:
            self.sleep(10 ** (self.random.random() * 4 - 3))
        elif chance > 0.5:
            self.sleep(0)

    def after(self, seconds, function):
        """Call ``function`` then, in the scheduler: it may not wait."""
        self._numbers += 1
        heapq.heappush(self.timers,
                       (self.now + seconds, self._numbers, function))

    # -- the loop

    def run(self, until, while_=None):
        """Run until a virtual time, or until ``while_()`` is false.

        :raises RuntimeError: somebody spins
        """
        while while_ is None or while_():
            self._ring()
            if not self.ready:
                if not self.timers or self.timers[0][0] > until:
                    self.now = max(self.now, until)
                    return
                self.now = self.timers[0][0]
            elif self.now > until:
                return
            else:
                self._turn(self._pick())

    def _ring(self):
        """Do what is due."""
        timers, now = self.timers, self.now
        while timers and timers[0][0] <= now:
            _, token, what = heapq.heappop(timers)
            if type(what) is not Task:
                what()
            elif what.token == token:
                what.token = None
                self.ready.append(what)

    def _pick(self):
        ready = self.ready
        at = int(self.random.random() * len(ready))
        ready[at], ready[-1] = ready[-1], ready[at]
        return ready.pop()

    def _turn(self, task):
        process = task.process
        if not process.alive:
            self.graveyard.append(task)
            return
        if process.frozen:
            process.park(task)
            return
        self._count(task)
        if process is not self.loaded:
            self.load(process)
            self.loaded = process
        self.current = task
        task.greenlet.switch()
        self.current = None

    def load(self, process):
        """Let ``process`` have its module globals; see :mod:`.own`."""

    def _count(self, task):
        self.turns += 1
        self.now += TICK
        self.digest.update(b'%d.' % task.ident)
        if int(self.now) != self._second:
            self._second, self._turns_in_it = int(self.now), 0
        self._turns_in_it += 1
        if self._turns_in_it > LIVELOCK:
            raise RuntimeError(f'{task} spins')

    def tell(self, text):
        """Add a line to the story."""
        self.digest.update(text.encode())
        self.story.append((self.now - BEGIN, text))


def end():
    """Drop every thread; what one does now has no effect."""
    global running
    if running is not None:
        running.over = True
        running = None
        for lock in shared:
            lock._at_fork_reinit()
