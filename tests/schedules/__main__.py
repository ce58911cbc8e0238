"""Run schedules on all cores: ``python -m tests.schedules --help``.

``make schedules SECONDS=600`` runs until the time is over, ``make schedules
SEED=swarm:12`` repeats one schedule and tells its story.
"""

import argparse
import json
import os
import sys
import threading
from concurrent import futures

from tests.schedules import report
from tests.schedules import start

# The profiles of a run that names none, and the share of each in it.
SHARES = (('swarm', 3), ('full', 1), ('short', 2), ('failovers', 1),
          ('losses', 1), ('copies', 1), ('lateness', 1), ('replicas', 1),
          ('crashes', 1))


def _arguments():
    parser = argparse.ArgumentParser(prog='python -m tests.schedules',
                                     description=__doc__)
    parser.add_argument('seeds', nargs='*', metavar='SEED',
                        help='PROFILE:NUMBER; repeat it and tell its story')
    parser.add_argument('--plan', default='{}',
                        help='JSON: what to change in the plans of SEEDs')
    parser.add_argument('--profile', action='append', default=[],
                        help='run this profile; may be repeated')
    parser.add_argument('--first', type=int, default=0,
                        help='the first number of each profile')
    parser.add_argument('--count', type=int,
                        help='how many of each profile; default: no limit')
    parser.add_argument('--seconds', type=float, default=60,
                        help='how long to run, if --count is not given')
    parser.add_argument('--workers', type=int, default=os.cpu_count())
    parser.add_argument('--without', help='remove this guard first')
    return parser.parse_args()


def _repeat(options):
    """Tell the story of each seed, then that of a smaller schedule."""
    failed = False
    for seed in options.seeds:
        for more in ([], ['--shorten']):
            with start.program('worker', seed, '--story', '--plan',
                               options.plan, *more) as worker:
                [line] = worker.stdout
            result = json.loads(line)
            report.tell_story(result, shortened=bool(more))
            if not result['wrong']:
                break
            failed = True
    return failed


def _runs(options):
    """Yield the arguments of each run of a worker."""
    shares = ([(name, 1) for name in options.profile] or SHARES)
    whole = sum(share for _, share in shares)
    for name, share in shares:
        for number in range(options.workers):
            limit = (['--seconds', str(options.seconds * share / whole)]
                     if options.count is None else
                     ['--count', str(len(range(
                         number, options.count, options.workers)))])
            yield [
                '--profile', name, '--first', str(options.first + number),
                '--step', str(options.workers), *limit,
                *(['--without', options.without] if options.without else [])]


def _run_all(options):
    """Run all workers; return whether something is wrong."""
    summary, one_at_a_time = report.Summary(), threading.Lock()

    def run(arguments):
        with start.program('worker', *arguments) as worker:
            for line in worker.stdout:
                with one_at_a_time:
                    summary.add(json.loads(line))
        if worker.returncode:
            raise RuntimeError(f'A worker ended with {worker.returncode}.')

    with futures.ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(run, _runs(options)))
    return summary.show()


def main():
    options = _arguments()
    return _repeat(options) if options.seeds else _run_all(options)


sys.exit(bool(main()))
