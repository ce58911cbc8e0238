"""What a host costs on which nothing is to be done, with all tasks on.

Statements are counted by the servers' own general logs.
"""

import math

import pytest

from computed import clock
from computed import context
from computed import manager as manager_module
from computed.periodic import collect
from computed.periodic import timetable
from computed.service import heartbeat
from computed.service import identity
from tests.integration import test_replication as replication
from tests.integration import test_usage_audit as usage_audit
from tests.support import fixtures

side = usage_audit.side
TASKS = collect.collect(manager_module.ComputeManager)
# What turns on, and limits, the tasks that are off by default.
ON = {'volume_usage_poll_interval': 600, 'instance_build_timeout': 1800,
      'reboot_timeout': 600, 'reclaim_instance_interval': 86400,
      'instance_usage_audit': True}
# Of the primary it asks one number, by its key (R2).
ASKS_THE_PRIMARY = {'update_available_resource'}
HOUR = 3600


class Clocks:
    """The clocks of this host: they stand still until somebody moves them."""

    def __init__(self):
        self.now = float(math.ceil(clock.monotonic()))
        self._ahead = clock.time() - self.now

    def monotonic(self):
        return self.now

    def time(self):
        return self.now + self._ahead


@pytest.fixture
def idle(side, database):
    """A host with 100 instances and all of its tasks, and what it costs."""
    found, _ = replication.managed(side, 100)
    for option, value in ON.items():
        side.conf.set_override(option, value, 'tasks')
    counted = replication.Counted(side, database)
    # All are warm: the first run of some tells or writes what is new.
    for _ in range(10):
        for name in TASKS:
            run(found, name)
    database.caught_up()
    return found, counted


def run(manager, name):
    # As if it had seen no list yet.
    manager.task_memory.of(name).listed = None
    return TASKS[name](manager, context.new())


def test_every_task_is_on(side):
    for option, value in ON.items():
        side.conf.set_override(option, value, 'tasks')
    for name, task in TASKS.items():
        assert timetable.seconds(task.spacing, side.conf.tasks), name


@replication.on_each_engine
def test_a_run_of_each_task(idle, engine):
    found, counted = idle
    for name in TASKS:
        counted.start()
        report = run(found, name)
        assert (report.candidates, report.acted, report.recorded) == (
            0, 0, 0), name
        assert counted.calls <= 2, name
        if name in ASKS_THE_PRIMARY:
            assert len(counted.on_primary) <= replication.STATEMENTS[engine]
        else:
            assert counted.on_primary == [], name
        assert len(counted.on_replicas) <= replication.STATEMENTS[engine]


def runs(manager, began, seconds):
    """When each task runs within so many seconds: ``[(moment, name)]``."""
    found = []
    for name, task in TASKS.items():
        when = timetable.Timetable(timetable.fraction(manager.host, name))
        when.start(began, timetable.seconds(
            task.spacing, manager.conf.tasks))
        while when.due is not None and when.due <= began + seconds:
            found.append((when.due, name))
            when.advance(when.due)
    return found


def test_an_hour_with_all_tasks(idle, monkeypatch):
    """With its heartbeats a host makes fewer than 10 calls a minute."""
    found, counted = idle
    clocks = Clocks()
    monkeypatch.setattr(clock, '_source', clocks)
    _, boot_id = found.claims.claim_owner.split(':')
    beats = heartbeat.Heartbeat(
        found.conf, identity.Identity(
            found.claims.service_id, boot_id, fixtures.BOOT, None),
        found.claims, dict, pytest.fail, pytest.fail)
    began, every = clocks.now, found.conf.report_interval
    counted.calls, by_name = 0, {}
    for moment, name in sorted([
            *runs(found, began, HOUR), *(
                (began + number * every, 'a heartbeat')
                for number in range(HOUR // every))]):
        clocks.now, before = moment, counted.calls
        if name in TASKS:
            TASKS[name](found, context.new())
        else:
            beats.beat()
        by_name[name] = by_name.get(name, 0) + counted.calls - before
    assert by_name['a heartbeat'] == HOUR // every
    assert by_name.keys() >= TASKS.keys()
    assert sum(by_name.values()) < 10 * HOUR // 60, by_name
