"""What a host tells of its instances costs the primary nothing."""

from computed import context
from tests.integration import test_replication as replication

side = replication.side


@replication.on_each_engine
def test_a_run_over_100_instances_that_are_known(
        side, database, engine, monkeypatch):
    found, _ = replication.managed(side, 100)
    database.caught_up()
    counted = replication.Counted(side, database)
    told, real = [], side.conductor.sync_instance_info
    monkeypatch.setattr(
        side.conductor, 'sync_instance_info',
        lambda *args: told.append(args[3]) or real(*args))
    # Both pools are warm: a new connection greets its server first.
    for _ in range(10):
        found._sync_scheduler_instance_info(context.new())
    counted.start()
    told.clear()
    assert found._sync_scheduler_instance_info(context.new()).recorded == 0
    assert counted.calls == 2 and told == [100]
    assert counted.on_primary == []
    assert 1 <= len(counted.on_replicas) <= replication.STATEMENTS[engine]
