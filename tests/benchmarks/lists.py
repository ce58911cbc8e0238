"""``InstanceList.get_by_host`` beside an empty call and a plain query."""

import contextlib
import statistics
import time

from computed import context
from computed.objects import instance as instance_obj
from tests import fixtures
from tests import waiting
from tests.benchmarks import empty

SIZES = (10, 100, 1000)
# Rounds that are not counted: pools fill, caches warm.
WARM_UP = 3


def measured(database, rounds):
    """The cells of a line of the table for each of ``SIZES``.

    The three are taken in turn, so that whatever else the machine does
    meets them alike; of each the median counts.
    """
    with deployment(database) as call:
        for size in SIZES:
            host = f'host-{size}'
            database.fill(host, size)
            listed, called, queried = medians(rounds, (
                lambda host=host: instance_obj.InstanceList.get_by_host(
                    context.new(), host),
                call,
                lambda host=host: database.query(host)), size)
            yield (database.kind, size, milliseconds(listed),
                   milliseconds(called), milliseconds(queried),
                   f'{listed / (called + queried):.1f}')


def medians(rounds, functions, size):
    """The median of the seconds that each of ``functions`` takes."""
    taken = [[] for _ in functions]
    for number in range(rounds + WARM_UP):
        for function, times in zip(functions, taken, strict=True):
            began = time.perf_counter()
            result = function()
            elapsed = time.perf_counter() - began
            # What is not whole is not measured.
            assert result is None or len(result) == size, result
            if number >= WARM_UP:
                times.append(elapsed)
    return [statistics.median(times) for times in taken]


def milliseconds(seconds):
    return f'{seconds * 1000:.2f} ms'


@contextlib.contextmanager
def deployment(database):
    """A conductor on the database and a server of empty calls, as processes;
    this one is a host. Yields the empty call.
    """
    arguments = fixtures.write_config(
        database.folder / 'computed.conf', {'connection': database.url})
    conductor = fixtures.Program(
        'computed-conductor', database.folder, *arguments)
    server = empty.start(database.folder)
    try:
        for topic in ('conductor', empty.TOPIC):
            waiting.wait_for(
                lambda topic=topic: list(
                    database.folder.glob(f'rpc/*{topic}*')), 20, topic)
        with fixtures.HostSide(database.folder, database.folder) as side:
            yield empty.client(side.transport)
    finally:
        conductor.end()
        server.stdin.close()
        server.wait()

