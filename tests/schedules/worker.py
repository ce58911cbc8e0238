"""Run schedules in this process, on virtual time.

It prints a line of JSON for each. ``python -m tests.schedules`` starts it.
"""

import sys

from tests.schedules import mutations
from tests.schedules import world

if '--without' in sys.argv:
    mutations.apply(sys.argv[sys.argv.index('--without') + 1])
FOLDER = world.begin()

# ruff: noqa: E402, all that follows must be imported on the hub
import argparse
import dataclasses
import gc
import json
import os
import shutil
import time

from tests.schedules import profiles
from tests.schedules import schedule
from tests.schedules import shorten
from tests.schedules import threads

# A collection takes as long as a schedule.
COLLECT = 20


def _arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument('seeds', nargs='*')
    parser.add_argument('--profile')
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--step', type=int, default=1)
    parser.add_argument('--count', type=int)
    parser.add_argument('--seconds', type=float)
    parser.add_argument('--story', action='store_true')
    parser.add_argument('--shorten', action='store_true')
    parser.add_argument('--plan', type=json.loads, default={})
    parser.add_argument('--without', metavar='GUARD')
    parser.add_argument('--until-wrong', action='store_true')
    return parser.parse_args()


def _seeds(options):
    """Yield the seeds to run."""
    yield from options.seeds
    if options.profile is None:
        return
    number, left = options.first, options.count
    until = None if options.seconds is None else (
        threads.REAL.monotonic() + options.seconds)
    while left != 0 and (until is None or threads.REAL.monotonic() < until):
        yield f'{options.profile}:{number}'
        number += options.step
        left = left if left is None else left - 1


def _tuples(value):
    return (tuple(map(_tuples, value)) if isinstance(value, list)
            else value)


def _tell(result, story, cpu):
    found = dataclasses.asdict(result)
    if not story and not result.wrong:
        del found['story']
    print(json.dumps({**found, 'cpu': cpu}), flush=True)


def main():
    options = _arguments()
    # Collected between schedules only: it decides nothing then.
    gc.disable()
    gc.freeze()
    for number, seed in enumerate(_seeds(options), 1):
        began = time.process_time()
        plan = dataclasses.replace(profiles.plan(seed), **{
            name: _tuples(value) for name, value in options.plan.items()})
        result = schedule.run(seed, plan, FOLDER)
        if options.shorten and result.wrong:
            result = shorten.shorten(result, FOLDER)
        _tell(result, options.story, time.process_time() - began)
        if number % COLLECT == 0:
            gc.collect()
        if result.wrong and options.until_wrong:
            break
    shutil.rmtree(FOLDER)
    sys.stdout.flush()
    # Threads of the last schedule must not run again.
    os._exit(0)


main()
