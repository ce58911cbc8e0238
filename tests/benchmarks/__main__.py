"""``python -m tests.benchmarks [--rounds N]``: print the table."""

import argparse
import logging
import pathlib
import tempfile

import pytest

from tests.benchmarks import databases
from tests.benchmarks import lists

# Titles of the columns, and how wide they are.
COLUMNS = {'database': 8, 'instances': 9, 'list': 10, 'empty call': 10,
           'plain query': 11, 'list / (call + query)': 21}


def main():
    parser = argparse.ArgumentParser(prog='python -m tests.benchmarks')
    parser.add_argument('--rounds', type=int, default=40, metavar='N',
                        help='how often each is measured '
                             '(default: %(default)s)')
    rounds = parser.parse_args().rounds
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix='computed-') as folder:
        print('InstanceList.get_by_host over unix://, medians of',
              rounds, 'rounds')
        print_row(COLUMNS)
        for open_database in databases.KINDS:
            try:
                with open_database(pathlib.Path(folder)) as database:
                    for figures in lists.measured(database, rounds):
                        print_row(figures)
            except pytest.skip.Exception as missing:
                print(f'{open_database.__name__}: {missing}')


def print_row(cells):
    """A line of the table; flushed, because the next takes its time."""
    print('  '.join(str(cell).rjust(width) for cell, width
                    in zip(cells, COLUMNS.values(), strict=True)),
          flush=True)


if __name__ == '__main__':
    main()
