"""One source of time, which a test can own."""

import os
import subprocess
import sys
import time
import types

import pytest

from computed import clock


@pytest.fixture
def standing():
    clock.use(types.SimpleNamespace(monotonic=lambda: 7.0,
                                    time=lambda: 1_000_000.0))
    yield
    clock.use(clock.System())


def test_by_default_it_is_the_time_of_the_system():
    before = time.clock_gettime(time.CLOCK_BOOTTIME), time.time()
    found = clock.monotonic(), clock.time()
    assert before[0] <= found[0] <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before[1] <= found[1] <= time.time()


def test_the_time_counts_in_which_the_machine_was_suspended():
    # Such a time is the difference between the two clocks of the kernel.
    found = subprocess.run(
        ['unshare', '--user', '--map-root-user', '--time',
         '--boottime', '100000', sys.executable, '-c',
         'import time; from computed import clock; '
         'print(clock.monotonic() - time.monotonic())'],
        capture_output=True, text=True)
    if found.returncode and not os.environ.get('CI'):
        pytest.skip(f'no namespace of time: {found.stderr}')
    assert float(found.stdout) > 99_000


def test_a_test_owns_the_time(standing):
    assert (clock.monotonic(), clock.time()) == (7.0, 1_000_000.0)
