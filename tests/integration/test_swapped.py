"""Another database comes in the place of our own, on each server."""

import pytest

from computed import context
from computed import exception
from computed.db.cell import database
from computed.service import clock_keeper
from tests.functional import test_swapped as swapped
from tests.support import fixtures
from tests.support import routed

on_each_engine = pytest.mark.parametrize('engine', ['mariadb', 'postgresql'])


@pytest.fixture
def router(schema):
    with routed.unmeasured(schema.url) as found:
        found.incarnation.database_id = database.get_id(context.new())
        found.observe_incarnation()
        yield found


@on_each_engine
@pytest.mark.parametrize('connections', ['are kept', 'are broken'])
def test_another_database_is_neither_read_nor_written(
        router, schema, connections, caplog):
    ours = router.incarnation.database_id
    keeper = clock_keeper.Keeper()
    for _ in range(2):
        keeper.turn()
    rows = 'SELECT seconds, listened FROM cell_clock'
    schema.sql(f"UPDATE database_identity SET uuid = '{fixtures.SERVICE}', "
               f"incarnation = '{fixtures.BOOT}'")
    before = schema.sql(rows)
    if connections == 'are kept':
        keeper.turn()       # it notices that
    else:
        for node in (router.primary, router.primary.heartbeats):
            node.dispose()
    for error in swapped.refused():
        assert isinstance(error, exception.AnotherDatabase)
    keeper.turn()
    assert schema.sql(rows) == before
    assert schema.sql('SELECT COUNT(*) FROM replica_heartbeats') == [(0,)]
    [said] = fixtures.complaints(caplog)
    assert f'{fixtures.SERVICE} now, and not {ours}' in said.getMessage()

    schema.sql(f"UPDATE database_identity SET uuid = '{ours}', "
               f"incarnation = '{router.incarnation.number}'")
    assert database.get_id(context.new()) == ours
    keeper.turn()
