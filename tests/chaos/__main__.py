"""``python -m tests.chaos --seed N``: ends with 1 if a promise was broken."""

import argparse
import logging
import pathlib
import random
import sys
import tempfile

from tests import servers
from tests.chaos import guests as guests_module
from tests.chaos import plan
from tests.chaos import site as site_module
from tests.support import load
from tests.support import waiting

ENGINES = {'mariadb': servers.mariadb_cluster,
           'postgresql': servers.postgresql_cluster}


def main():
    parser = argparse.ArgumentParser(prog='python -m tests.chaos')
    parser.add_argument('--seed', type=int, help='of an earlier run, to '
                        'repeat its faults; default: a new one')
    parser.add_argument('--minutes', type=float, default=10, metavar='M',
                        help='how long (default: %(default)s)')
    parser.add_argument('--engine', choices=sorted(ENGINES),
                        help='default: by the seed')
    options = parser.parse_args()
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(10 ** 6)
    engine = options.engine or sorted(ENGINES)[seed % 2]
    logging.basicConfig(level=logging.CRITICAL)
    print(f'seed {seed}, {engine}', flush=True)
    with tempfile.TemporaryDirectory(prefix='computed-') as folder:
        # A server that will not run as root must reach its own folder.
        folder = pathlib.Path(folder)
        folder.chmod(0o711)
        problems = run(folder, ENGINES[engine](folder), seed,
                       options.minutes * 60)
    for problem in problems:
        print(problem)
    print(f'{len(problems)} promises were broken' if problems else
          'every promise was kept')
    return 1 if problems else 0


def run(folder, cluster, seed, seconds, say=print):
    """A bad day of ``seconds``.

    :returns: what was broken, as texts
    """
    faults = plan.drawn(seed, seconds, {
        'replica': len(cluster.replicas), 'primary': 1,
        'conductor': site_module.CONDUCTORS})
    with site_module.Site(folder, cluster) as site:
        # A conductor that was frozen goes on with what was given up.
        with guests_module.Guests(site.side, seed) as guests, \
                load.Load(guests.manager.claims, late=True) as found:
            done = site_module.live_through(site, faults, seconds, say)
        assert done == len(faults) > 0
        cluster.mend()
        waiting.wait_for(guests.converged, 60, 'records and guests to agree')
        there = dict(cluster.primary.sql('SELECT uuid, name FROM instances',
                                         database=site_module.NAME))
        problems = [*guests.problems, *found.problems,
                    *lost_or_doubled(found, there)]
    say(f'{done} faults; writes: {len(found.created)} created, '
        f'{found.count} counted, {found.granted} claims, '
        f'{len(found.failures)} failed; reads: {found.strict} strict, '
        f'{len(found.strict_failures)} failed, {found.tolerant} tolerant, '
        f'{len(found.put_off)} put off; {guests.passes} passes, '
        f'{guests.acted} repairs of {guests.deaths} guests that ended, '
        f'{guests.starts} starts')
    return problems


def lost_or_doubled(found, there):
    """What the database in the end says against what was acknowledged."""
    for uuid in set(found.created) - there.keys():
        yield f'instance {uuid} was acknowledged and is lost'
    for uuid in set(found.refused) & there.keys():
        yield f'instance {uuid} was refused and is there'
    if int(there[load.COUNTER]) < found.count:
        yield (f'the counter is {there[load.COUNTER]}, but {found.count} was '
               'acknowledged')


if __name__ == '__main__':
    sys.exit(main())
