"""Console tokens on real servers: what they cost, and that they expire."""

from computed import context
from computed.objects import console_token as token_obj
from tests.integration import test_replication as replication

side = replication.side
UUID = '00000000-0000-4000-8000-000000000001'
TOKEN = 'a' * 64


def clean(manager):
    return manager._cleanup_expired_console_auth_tokens(
        context.new()).recorded


@replication.on_each_engine
def test_a_run_over_100_instances(side, database, engine):
    """With nothing to do, the primary gets no statement."""
    found, _ = replication.managed(side, 100)
    made = token_obj.ConsoleToken.create(context.new(), UUID, TOKEN, 600)
    assert token_obj.ConsoleToken.get_by_hash(
        context.new(), TOKEN).expires == made.expires
    database.caught_up()
    counted = replication.Counted(side, database)
    # Both pools are warm: a new connection greets its server first.
    for _ in range(10):
        clean(found)
    counted.start()
    assert clean(found) == 0
    assert counted.calls == 1
    assert counted.on_primary == []
    assert 1 <= len(counted.on_replicas) <= replication.STATEMENTS[engine]

    database.sql("UPDATE console_tokens SET expires = '2020-01-01'")
    database.caught_up()
    assert token_obj.ConsoleToken.get_by_hash(context.new(), TOKEN) is None
    assert clean(found) == 1
    assert clean(found) == 0
