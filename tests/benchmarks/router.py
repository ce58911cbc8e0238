"""``python -m tests.benchmarks.router``: what the router adds to a read, and
what lost and frozen replicas do to those who read.
"""

import argparse
import logging
import pathlib
import statistics
import tempfile
import time
import types

from oslo_db.sqlalchemy import enginefacade

from computed import context
from computed.db.cell import instance
from tests.benchmarks import bad_days
from tests.benchmarks import clusters
from tests.support import many
from tests.support import routed

HOST = 'host-1'


def main():
    parser = argparse.ArgumentParser(prog='python -m tests.benchmarks.router')
    parser.add_argument('--rounds', type=int, default=3000, metavar='N',
                        help='how often each read is measured '
                             '(default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=10, metavar='S',
                        help='how long each bad day lasts '
                             '(default: %(default)s)')
    parser.add_argument('--days', type=int, default=5, metavar='N',
                        help='how often a usual time and a frozen replica '
                             'are compared (default: %(default)s)')
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix='computed-') as folder:
        # A server that will not run as root must reach its own folder.
        folder = pathlib.Path(folder)
        folder.chmod(0o711)
        for opened in clusters.KINDS:
            (folder / opened.__name__).mkdir(mode=0o711)
            with opened(folder / opened.__name__) as database:
                print(f'{opened.__name__}: {added(database, options.rounds)}',
                      flush=True)
                for line in bad_days.measured(
                        database, options.seconds, options.days):
                    print(f'{opened.__name__}: {line}', flush=True)


def added(database, rounds):
    """The line that says what a tolerant read costs more than oslo.db's own.

    Both run the same query function on the same replica by the same pool, in
    turn; the clock is that of this thread's CPU time.
    """
    with routed.measuring(database.url, database.replica_urls[:1]) as router:
        [replica] = router.replicas.values()
        bare = Bare()
        tolerant = context.new().tolerating_lag(True)

        def ours():
            return instance.get_all_by_host(tolerant, HOST)

        def theirs():
            with replica.facade.reader.connection.using(bare):
                return instance.get_all_by_host.__wrapped__(bare, HOST)

        extra = statements(ours) - statements(theirs)
        taken = [[cpu(read) for read in (ours, theirs)]
                 for _ in range(rounds)]
        assert tolerant.reads.by_role == {'replica': rounds + 1}
    one, other = map(statistics.median, zip(*taken, strict=True))
    return (f'a read takes {one:.0f} us CPU, by oslo.db alone {other:.0f}: '
            f'{one - other:.0f} us and {extra} statements more (medians of '
            f'{rounds})')


@enginefacade.transaction_context_provider
class Bare:
    """A context of oslo.db's, with what query functions write down."""

    def __init__(self):
        self.db_scope = types.SimpleNamespace(revisions={})


def statements(read):
    with many.statements() as seen:
        read()
    return len(seen)


def cpu(function):
    """Microseconds of this thread's CPU time."""
    began = time.thread_time_ns()
    function()
    return (time.thread_time_ns() - began) / 1000


if __name__ == '__main__':
    main()
