"""Console tokens on real servers: what they cost, and that they expire."""

import pytest
import sqlalchemy as sa

from computed import context
from computed.db.cell import console_tokens
from computed.objects import console_token as token_obj
from tests.integration import test_replication as replication
from tests.support import fixtures
from tests.support import many

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


@pytest.fixture
def inside(schema):
    """This process as a conductor; an instance has 2 tokens of long ago."""
    router = many.route(schema.url)
    for number in range(2):
        schema.sql('INSERT INTO console_tokens VALUES '
                   f"('{number:064x}', '{fixtures.UUID}', '{fixtures.HOST}', "
                   "'2020-01-01')")
    yield router
    router.primary.dispose()
    router.primary.heartbeats.dispose()


@replication.on_each_engine
@pytest.mark.parametrize('change, left', [
    ("UPDATE console_tokens SET expires = '2999-01-01'", 1),
    ("UPDATE console_tokens SET host = 'h2'", 1),
    ('DELETE FROM console_tokens', 0)])
def test_a_change_between_the_look_and_the_delete(
        inside, database, change, left):
    """What is deleted has expired at that moment, and is of this host."""
    changed = []

    def change_one(connection, cursor, statement, *_):
        if statement.startswith('DELETE') and not changed:
            changed.append(statement)
            database.sql(f"{change} WHERE token_hash = '{0:064x}'")
    sa.event.listen(inside.primary.facade.writer.get_engine(),
                    'before_cursor_execute', change_one)
    assert console_tokens.delete_expired(
        context.new(), fixtures.HOST) == 1
    assert len(changed) == 1
    assert len(database.sql('SELECT token_hash FROM console_tokens')) == left
    assert console_tokens.delete_expired(context.new(), fixtures.HOST) == 0
