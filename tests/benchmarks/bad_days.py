"""What those who read notice of replicas that are killed, frozen or lost."""

import contextlib
import dataclasses
import math
import statistics
import threading
import time

from computed import context
from computed import exception
from computed.objects import instance as instance_obj
from tests.support import fixtures
from tests.support import waiting

HOST = 'host-1'
# How many read at the same time.
TOLERANT, STRICT = 8, 2
# Seconds between two reads of one client.
PAUSE = 0.01
REPLICA_TIMEOUT = 2
BUDGET = 50


@dataclasses.dataclass
class Seen:
    """What clients of one kind saw; ``taken`` in seconds."""

    taken: list = dataclasses.field(default_factory=list)
    by_role: dict = dataclasses.field(default_factory=dict)
    refused: int = 0
    errors: list = dataclasses.field(default_factory=list)

    @property
    def p99(self):
        return sorted(self.taken)[math.ceil(len(self.taken) * 0.99) - 1]


class Load:
    """Clients that read until the block ends, two kinds of them."""

    def __init__(self):
        self.tolerant, self.strict = Seen(), Seen()
        self._over = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self):
        self._threads = [
            threading.Thread(target=self._read, args=kind)
            for kind in [(self.tolerant, True)] * TOLERANT +
            [(self.strict, False)] * STRICT]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _read(self, seen, tolerant):
        pause = PAUSE
        while not self._over.wait(pause):
            ctxt, pause = context.new(), PAUSE
            began = time.perf_counter()
            try:
                instance_obj.InstanceList.get_by_host(
                    ctxt, HOST, use_slave=tolerant)
            except exception.PutOff as refusal:
                with self._lock:
                    seen.refused += 1
                # As tasks do: not before they were told.
                pause = refusal.kwargs['retry_after']
                continue
            except exception.ComputedError as error:
                with self._lock:
                    seen.errors.append(error)
                continue
            with self._lock:
                seen.taken.append(time.perf_counter() - began)
                role = ctxt.reads.last.role
                seen.by_role[role] = seen.by_role.get(role, 0) + 1


def measured(database, seconds, rounds):
    """A line for each bad day."""
    with served(database, conductors=2) as wait_for_replicas:
        database.caught_up()
        one, other = database.cluster.replicas
        # In turn, and only then compared: the machine has moods of its own.
        pairs = []
        for _ in range(rounds):
            usual = during(seconds)
            pairs.append((usual, during(seconds, one.freeze)))
            one.thaw()
            wait_for_replicas()
        worst = max(max(frozen.tolerant.taken) for _, frozen in pairs)
        ratios = [frozen.strict.p99 / usual.strict.p99
                  for usual, frozen in pairs]
        yield (f'one replica frozen: worst tolerant read {worst:.2f} s (it '
               f'may take {REPLICA_TIMEOUT} s), strict p99 '
               f'{statistics.median(ratios):.2f} x (median of {rounds})')
        killed = during(seconds, one.kill)
        one.start()
        yield (f'one replica killed under {TOLERANT} clients: '
               f'{len(killed.tolerant.errors)} errors, worst read '
               f'{max(killed.tolerant.taken):.2f} s')
        wait_for_replicas()
        one.kill()
        other.kill()
        lost = during(seconds)
        answered = lost.tolerant.by_role.get('primary', 0)
        p99 = statistics.median(usual.strict.p99 for usual, _ in pairs)
        yield (f'all replicas lost, two conductors: {answered} tolerant '
               f'reads on the primary in {seconds:g} s, '
               f'{answered / seconds / BUDGET:.2f} x the budget, '
               f'{lost.tolerant.refused} refused, '
               f'{len(lost.tolerant.errors)} errors; strict p99 '
               f'{lost.strict.p99 / p99:.2f} x')


def during(seconds, event=None):
    """The load of ``seconds``, early in which ``event()`` happens."""
    with Load() as load:
        threading.Event().wait(seconds / 4)
        if event is not None:
            event()
        threading.Event().wait(seconds * 3 / 4)
    assert load.strict.taken
    assert not load.strict.errors, load.strict.errors
    return load


@contextlib.contextmanager
def served(database, conductors):
    """Conductors on ``database``, as processes; this one is a host.

    Yields what waits until every conductor uses both replicas.
    """
    folder = database.cluster.primary.folder.parent / 'conductors'
    folder.mkdir()
    arguments = fixtures.write_config(folder / 'computed.conf', {
        'connection': database.url,
        'replica_connections': ','.join(database.replica_urls),
        'replica_timeout': REPLICA_TIMEOUT, 'replica_ramp': 1,
        'fallback_reads_per_second': BUDGET})
    programs = [fixtures.Program('computed-conductor', folder, *arguments)
                for _ in range(conductors)]
    try:
        waiting.wait_for(lambda: len(list(folder.glob(
            'rpc/*conductor*'))) == conductors, 20, 'conductors')
        with fixtures.HostSide(folder, folder) as side:
            def wait_for_replicas():
                # Each conductor has its own view, and any may answer.
                waiting.wait_for(lambda: all(
                    node['usable'] for _ in range(4 * conductors)
                    for node in side.conductor.list_replicas(context.new())),
                    60, 'both replicas in use')
            wait_for_replicas()
            yield wait_for_replicas
    finally:
        for program in programs:
            program.end()
