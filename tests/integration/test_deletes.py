"""The tasks for deleted instances, on real servers: what they cost."""

import pytest

from computed import context
from computed.cmd.manage import database as purge_command
from computed.conf import audit_period
from computed.db.cell import purge
from tests.integration import test_replication as replication

side = replication.side
COUNT = 100


def run(manager, task):
    return getattr(manager, task)(context.new())


@replication.on_each_engine
@pytest.mark.parametrize('task', [
    '_run_pending_deletes', '_cleanup_running_deleted_instances'])
def test_nothing_to_do_asks_the_primary_nothing(
        side, database, engine, task):
    found, _ = replication.managed(side, COUNT)
    database.caught_up()
    counted = replication.Counted(side, database)
    # Both pools are warm: a new connection greets its server first.
    for _ in range(10):
        run(found, task)
    counted.start()
    assert run(found, task).candidates == 0
    assert counted.calls == 1
    assert counted.on_primary == []
    assert 1 <= len(counted.on_replicas) <= replication.STATEMENTS[engine]


@replication.on_each_engine
def test_files_of_many_are_removed(side, database, engine):
    found, virt = replication.managed(side, COUNT + 50)
    for uuid in list(virt.list_instances().instances):
        virt.vanish(uuid)
    database.sql(
        "UPDATE instances SET vm_state = 'deleted', deleted = true, "
        "clean_attempts = 1, deleted_at = '2026-01-01', "
        'state_counted_at = -1000')
    database.caught_up()
    counted = replication.Counted(side, database)
    counted.start()
    report = found._run_pending_deletes(context.new())
    assert (report.candidates, report.acted) == (COUNT + 50, COUNT + 50)
    # Two pages; a claim and its end for each.
    assert counted.calls == 2 + 2 * (COUNT + 50)
    assert database.sql('SELECT count(*) FROM instances WHERE cleaned') == [
        (COUNT + 50,)]


@replication.on_each_engine
def test_rows_of_long_ago_are_purged(side, database, engine):
    found, _ = replication.managed(side, 1200)
    gone = ("vm_state = 'deleted', deleted = true, cleaned = true, "
            "deleted_at = '2020-01-01' WHERE uuid")
    database.sql(f"UPDATE instances SET {gone} >= "
                 "'00000000-0000-4000-8000-000000000010'",
                 "UPDATE instances SET cleaned = false WHERE uuid = "
                 "'00000000-0000-4000-8000-000000000700'",
                 "UPDATE instances SET guest_left = true WHERE uuid = "
                 "'00000000-0000-4000-8000-000000001199'")
    opened = purge.opened(database.url)
    try:
        limits = purge_command.limits_of(
            purge.now(opened), 86400,
            audit_period.Period('month', 1), False)
        before = purge.figures(opened, limits)
        assert {name: count for name, count in before.items() if count} == {
            'purged': 1188, 'files_left': 1, 'guest_left': 1}
        assert purge.purge(opened, limits) == 1188
        assert purge.figures(opened, limits) == {**before, 'purged': 0}
    finally:
        opened.dispose()
    assert database.sql('SELECT count(*) FROM instances') == [(12,)]
