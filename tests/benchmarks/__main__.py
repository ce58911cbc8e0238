"""``python -m tests.benchmarks [--rounds N] [--seconds S]``: print tables."""

import argparse
import contextlib
import logging
import pathlib
import tempfile

import pytest

from tests.benchmarks import databases
from tests.benchmarks import deployment
from tests.benchmarks import lists
from tests.benchmarks import saturated
from tests.benchmarks import transports


def arguments():
    parser = argparse.ArgumentParser(prog='python -m tests.benchmarks')
    parser.add_argument('--rounds', type=int, default=40, metavar='N',
                        help='how often each is measured '
                             '(default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=5, metavar='S',
                        help='how long a server is saturated '
                             '(default: %(default)s)')
    return parser.parse_args()


def main():
    options = arguments()
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix='computed-') as folder, \
            contextlib.ExitStack() as running:
        places = list(pairs(pathlib.Path(folder), running))
        print('InstanceList.get_by_host, medians of', options.rounds,
              'rounds')
        table(lists.COLUMNS, places, lambda *place: lists.measured(
            *place, options.rounds))
        print('\nOne process saturated by',
              saturated.PROCESSES * saturated.THREADS, 'clients, for',
              options.seconds, 's each')
        table(saturated.COLUMNS, places, lambda *place: saturated.measured(
            *place, options.seconds))


def pairs(folder, running):
    """Every ``(database, deployment)``, kept running by ``running``.

    What is not installed is said, and left out.
    """
    def started(kinds):
        for kind in kinds:
            try:
                yield running.enter_context(kind(folder))
            except pytest.skip.Exception as missing:
                print(f'{kind.__name__}: {missing}')
    carriers = list(started(transports.KINDS))
    for database in started(databases.KINDS):
        lists.fill(database)
        yield from ((database, carrier) for carrier in carriers)


def table(columns, places, measured):
    """Print what ``measured`` finds at each place."""
    row(columns, columns)
    for database, carrier in places:
        with deployment.deployed(database, carrier) as found:
            for figures in measured(database, found):
                row(columns, figures)


def row(columns, cells):
    """A line of the table; flushed, because the next takes its time."""
    print('  '.join(str(cell).rjust(width) for cell, width
                    in zip(cells, columns.values(), strict=True)),
          flush=True)


if __name__ == '__main__':
    main()
