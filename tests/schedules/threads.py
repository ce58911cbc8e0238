"""What stands beneath ``threading`` and ``time`` in a schedule.

:func:`install` must come before all other imports. It puts a ``_thread`` of
our own beneath Python's ``threading``, ``queue`` and ``concurrent.futures``,
which are Python above it, and a clock of our own into ``time``. Whatever is
imported afterwards runs on the hub without knowing: our code, SQLAlchemy's
pool, the retries of oslo.db.
"""

import _thread as native
import itertools
import random
import sys
import time
import types
import uuid

from tests.schedules import hub

REAL = types.SimpleNamespace(
    monotonic=time.monotonic, time=time.time, sleep=time.sleep,
    perf_counter=time.perf_counter)
# What the wall clock shows when the monotonic one shows 0.
EPOCH = 1_800_000_000.0
# Python's own modules that must see the ``_thread`` of this module.
AGAIN = ('threading', 'queue', 'logging', '_threading_local', 'concurrent')
_chance = random.Random(0)
_numbers = itertools.count()
_locals = itertools.count()
_main = {}              # the attributes that locals have outside schedules


class Lock:
    """``threading.Lock``: its waits are in virtual time.

    What is made outside a schedule belongs to a module, so all processes
    share it: see :func:`hub.Process.kill`.
    """

    __slots__ = ('_held', '_waiters', '__weakref__')

    def __init__(self):
        # False, or the task that holds it.
        self._held, self._waiters = False, None
        if hub.running is None:
            hub.shared.append(self)

    def acquire(self, blocking=True, timeout=-1):
        if not self._held:
            here = hub.running
            self._held = here and here.current or True
            return True
        return blocking and self._wait(timeout)

    def _wait(self, timeout):
        here = hub.running
        if here is None:
            raise RuntimeError('a deadlock outside a schedule')
        until = None if timeout is None or timeout < 0 else here.now + timeout
        task = here.current
        if self._waiters is None:
            self._waiters = []
        while self._held:
            self._waiters.append(task)
            try:
                woken = here.block(until)
            finally:
                if task in self._waiters:
                    self._waiters.remove(task)
            if not woken and self._held:
                return False
        self._held = task or True
        return True

    def end(self, process):
        """Release it if its holder has died; no ``finally`` does it."""
        if self._held and self._held is not True and (
                self._held.process is process):
            self.release()

    def release(self):
        if not self._held:
            raise RuntimeError('release unlocked lock')
        self._held = False
        if self._waiters:
            hub.running.wake(self._waiters.pop(0))

    def locked(self):
        return bool(self._held)

    def _at_fork_reinit(self):
        self._held, self._waiters = False, None

    acquire_lock, release_lock, locked_lock = acquire, release, locked

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *error):
        self.release()


class Local:
    """``threading.local``: each thread has attributes of its own."""

    __slots__ = ('__dict__', '_made', '_number', '__weakref__')

    def __new__(cls, *arguments, **named):
        self = object.__new__(cls)
        object.__setattr__(self, '_made', (arguments, named))
        object.__setattr__(self, '_number', next(_locals))
        # The caller runs __init__ for this thread.
        _dicts()[self._number] = {}
        return self

    def __getattribute__(self, name):
        _show(self)
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        _show(self)
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        _show(self)
        object.__delattr__(self, name)


def _show(local):
    """Let a ``local`` have the attributes of the running thread."""
    get, dicts = object.__getattribute__, _dicts()
    number = get(local, '_number')
    found = dicts.get(number)
    if found is None:
        found = dicts[number] = {}
        object.__setattr__(local, '__dict__', found)
        arguments, named = get(local, '_made')
        local.__init__(*arguments, **named)
    object.__setattr__(local, '__dict__', found)


def _dicts():
    here = hub.running
    return (_main if here is None or here.current is None
            else here.current.locals)


class Handle:
    """What Python 3.13 keeps of a thread; it can be joined."""

    def __init__(self, ident=None):
        self.ident = ident
        self._over = Lock()
        self._over.acquire()

    def is_done(self):
        return not self._over.locked()

    def _set_done(self):
        if self._over.locked():
            self._over.release()

    def join(self, timeout=None):
        if self._over.acquire(timeout=-1 if timeout is None else timeout):
            self._over.release()


def get_ident():
    here = hub.running
    return 1 if here is None or here.current is None else here.current.ident


def start_new_thread(function, args, kwargs=None):
    return _start(function, args, kwargs or {}).ident


def start_joinable_thread(function, handle=None, daemon=True):
    """Start a thread, as ``threading`` of Python 3.13 does."""
    handle = Handle() if handle is None else handle
    task = _start(function, (), {})
    task.ended = handle._set_done
    handle.ident = task.ident
    return handle


def _start(function, args, kwargs):
    here = hub.running
    if here is None or here.current is None:
        raise RuntimeError('no thread may start outside a schedule')
    owner = getattr(function, '__self__', None)
    return here.spawn(here.current.process, function, *args,
                      name=getattr(owner, '_name', None), **kwargs)


def _set_sentinel():
    """Return a lock that is released when this thread ends (before 3.13)."""
    lock = Lock()
    if hub.running is not None and hub.running.current is not None:
        hub.running.current.ended = lambda: lock.locked() and lock.release()
    return lock


def _thread_module():
    made = types.ModuleType('_thread')
    made.__dict__.update(
        {name: value for name, value in vars(native).items()
         if not name.startswith('__')},
        allocate_lock=Lock, allocate=Lock, LockType=Lock, lock=Lock,
        get_ident=get_ident, get_native_id=get_ident,
        start_new_thread=start_new_thread, start_new=start_new_thread,
        start_joinable_thread=start_joinable_thread,
        _set_sentinel=_set_sentinel, _ThreadHandle=Handle,
        _make_thread_handle=Handle, _get_main_thread_ident=lambda: 1,
        daemon_threads_allowed=lambda: True, _shutdown=lambda: None,
        stack_size=lambda *size: 0, _count=lambda: 1)
    made._local = Local
    # That of Python is made of the lock of this module.
    del made.RLock
    return made


# -- clocks

class Clock:
    """The time of the running schedule, for :func:`computed.clock.use`."""

    @staticmethod
    def monotonic():
        here = hub.running
        return REAL.monotonic() if here is None else here.now

    @staticmethod
    def time():
        here = hub.running
        if here is None:
            return REAL.time()
        task = here.current
        return EPOCH + here.now + (task.process.wall if task else 0.0)


def sleep(seconds):
    here = hub.running
    if here is None:
        REAL.sleep(seconds)
    elif here.current is not None:
        here.sleep(seconds)


def seed(value):
    """Begin a schedule: forget the threads of the last one, and seed what
    libraries draw. Our own code draws from computed.chance.
    """
    global _numbers
    _numbers = itertools.count()
    known = sys.modules['threading']
    known._limbo.clear()
    for ident, thread in list(known._active.items()):
        if thread is not known.main_thread():
            del known._active[ident]
    _chance.seed(f'{value}/uuid')
    random.seed(f'{value}/libraries')


def _number(cls):
    """Let sets of such objects be iterated in the order they were made in.

    By default it depends on their addresses: a pool joins its threads so.
    """
    made = cls.__init__

    def numbered(self, *arguments, **named):
        self._number = next(_numbers)
        made(self, *arguments, **named)
    cls.__init__ = numbered
    cls._number = -1        # of the main thread, which is there already
    cls.__hash__ = lambda self: self._number


def install():
    """Do this before anything else is imported."""
    sys.modules['_thread'] = _thread_module()
    sys.modules['_queue'] = None        # its SimpleQueue waits natively
    for name in list(sys.modules):
        if name.partition('.')[0] in AGAIN:
            del sys.modules[name]
    time.monotonic = time.perf_counter = Clock.monotonic
    time.time, time.sleep = Clock.time, sleep
    uuid.uuid4 = lambda: uuid.UUID(int=_chance.getrandbits(128), version=4)
    import threading
    from concurrent import futures

    # It has a lock; ``futures`` itself would import it in a schedule.
    from concurrent.futures import thread  # noqa: F401
    _number(threading.Thread)
    _number(futures.Future)
    # It locks futures in the order of their addresses.
    futures._base.id = hash
