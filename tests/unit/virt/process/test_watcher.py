import os
import resource
import signal
import subprocess

import pytest

from computed.virt.process import proc
from computed.virt.process import watcher
from tests.support import process_guests
from tests.support import waiting


@pytest.fixture
def watching():
    found = watcher.Watcher()
    yield found
    found.close()


@pytest.fixture
def sleeping():
    with subprocess.Popen(['sleep', '1000']) as one:
        yield one
        one.kill()


def test_a_watcher_without_a_subscription_does_nothing(watching, sleeping):
    watching.watch('guest', proc.stat(sleeping.pid).process)
    watching.report('guest')
    events = []
    watching.subscribe(events.append)
    watching.report('other')
    waiting.wait_for(lambda: events == ['other'])


def test_a_process_watched_while_others_are_is_not_missed(
        watching, sleeping):
    events = []
    watching.subscribe(events.append)
    watching.report('awake')
    waiting.wait_for(lambda: events == ['awake'])
    watching.watch('guest', proc.stat(sleeping.pid).process)
    sleeping.kill()
    waiting.wait_for(lambda: events == ['awake', 'guest'])


def test_a_process_that_is_watched_twice_is_reported_once(
        watching, sleeping):
    events = []
    watching.subscribe(events.append)
    for _ in range(2):
        watching.watch('guest', proc.stat(sleeping.pid).process)
    sleeping.kill()
    waiting.wait_for(lambda: events)
    watching.report('later')
    waiting.wait_for(lambda: 'later' in events)
    assert events == ['guest', 'later']


def test_a_process_that_ended_before_is_reported_at_once(watching, sleeping):
    process = proc.stat(sleeping.pid).process
    os.kill(sleeping.pid, signal.SIGKILL)
    sleeping.wait()
    events = []
    watching.subscribe(events.append)
    watching.watch('guest', process)
    waiting.wait_for(lambda: events == ['guest'])


def test_a_new_subscription_replaces_the_old_one(watching):
    first, second = [], []
    watching.subscribe(first.append)
    watching.subscribe(second.append)
    watching.report('guest')
    waiting.wait_for(lambda: second == ['guest'])
    assert first == []


def test_a_subscriber_may_end_its_own_subscription(watching):
    events = []

    def close_at_once(uuid):
        events.append(uuid)
        watching.close()

    watching.subscribe(close_at_once)
    watching.report('guest')
    waiting.wait_for(lambda: events == ['guest'])


def test_descriptors_are_left_to_others_and_one_line_says_so(
        watching, sleeping, caplog):
    """In a process of its own: limits are those of the whole process."""
    def many():
        # The next descriptor is above the limit less what is spared.
        resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600))
        opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(400)]
        found = watcher.Watcher()
        found.subscribe(lambda uuid: None)
        before = len(os.listdir('/proc/self/fd'))
        for uuid in ('one', 'two'):
            found.watch(uuid, proc.stat(sleeping.pid).process)
        return len(opened), len(os.listdir('/proc/self/fd')) - before, [
            line.getMessage() for line in caplog.records]
    opened, more, lines = process_guests.in_a_fork(lambda: None, many)
    assert (opened, more, len(lines)) == (400, 0, 1)
    assert 'raise the limit of open files' in lines[0]
