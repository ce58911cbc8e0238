"""``InstanceList.get_by_host`` beside an empty call and a plain query."""

import statistics
import time

from computed import context
from computed.objects import instance as instance_obj

SIZES = (10, 100, 1000)
# Rounds that are not counted: pools fill, caches warm.
WARM_UP = 3
# Titles of the columns, and how wide they are.
COLUMNS = {'transport': 9, 'database': 8, 'instances': 9, 'list': 10,
           'empty call': 10, 'plain query': 11, 'list / (call + query)': 21}


def name_of(size):
    """The host that has this many instances."""
    return f'host-{size}'


def fill(database):
    """Make the instances that are listed."""
    for size in SIZES:
        database.fill(name_of(size), size)


def measured(database, deployment, rounds):
    """The cells of a line of the table for each of ``SIZES``.

    The three are taken in turn, so that whatever else the machine does
    meets them alike; of each the median counts.
    """
    for size in SIZES:
        host = name_of(size)
        listed, called, queried = medians(rounds, (
            lambda host=host: instance_obj.InstanceList.get_by_host(
                context.new(), host),
            deployment.call,
            lambda host=host: database.query(host)), size)
        yield (deployment.transport.kind, database.kind, size,
               milliseconds(listed), milliseconds(called),
               milliseconds(queried), f'{listed / (called + queried):.1f}')


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
