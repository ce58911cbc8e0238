"""The tasks for deleted instances, on real servers: what they cost."""

import pytest

from computed import context
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
        "clean_attempts = 1, deleted_at = '2026-01-01'")
    database.caught_up()
    counted = replication.Counted(side, database)
    counted.start()
    report = found._run_pending_deletes(context.new())
    assert (report.candidates, report.acted) == (COUNT + 50, COUNT + 50)
    # Two pages; a claim and its end for each.
    assert counted.calls == 2 + 2 * (COUNT + 50)
    assert database.sql('SELECT count(*) FROM instances WHERE cleaned') == [
        (COUNT + 50,)]
