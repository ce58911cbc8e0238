"""Start the programs of this package in processes of their own."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def program(module, *arguments, **how):
    """Return a started program, whose output can be read as text.

    :param module: its name in this package
    """
    # Hashes of texts decide in which order sets are iterated.
    return subprocess.Popen(
        [sys.executable, '-P', '-m', f'tests.schedules.{module}', *arguments],
        env={**os.environ, 'PYTHONHASHSEED': '0', 'PYTHONPATH': str(ROOT),
             'COMPUTED_CONCURRENCY_BACKEND': 'threading'},
        stdout=subprocess.PIPE, text=True, **how)


def results(*arguments):
    """Return what a worker tells of the schedules that it runs.

    :raises RuntimeError: it has failed
    """
    with program('worker', *arguments) as worker:
        found = [json.loads(line) for line in worker.stdout]
    if worker.returncode or not found:
        raise RuntimeError(f'{arguments}: the worker ended with '
                           f'{worker.returncode}')
    return found
