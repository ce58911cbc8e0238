"""Locks of modules, which processes of a schedule share."""

import pytest

from tests.schedules import hub
from tests.schedules import threads


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(hub, 'shared', [])
    found = threads.Lock()
    monkeypatch.setattr(hub, 'running', hub.Hub('locks'))
    return found


def test_a_process_that_dies_holds_no_lock_of_a_module(here):
    """Python's pools hold one while a thread starts; nobody else has it."""
    dies, lives = (hub.Process(hub.running, name) for name in ('c0', 'c1'))
    got = []

    def hold():
        here.acquire()
        hub.running.block()

    def wait():
        with here:
            got.append(hub.running.now)
    hub.running.spawn(dies, hold)
    hub.running.run(hub.running.now + 1)
    hub.running.spawn(lives, wait)
    hub.running.run(hub.running.now + 1)
    assert got == []
    dies.kill()
    hub.running.run(hub.running.now + 1)
    assert len(got) == 1 and not here.locked()


def test_the_next_schedule_finds_them_free(here):
    hub.running.spawn(hub.Process(hub.running, 'c0'), here.acquire)
    hub.running.run(hub.running.now + 1)
    assert here.locked()
    hub.end()
    assert not here.locked()
