"""The benchmarks on real servers still run; what they print is nobody's
business here.
"""

from computed.db.cell import migration
from tests.benchmarks import databases
from tests.benchmarks import router


def test_what_the_router_adds_is_measured(database):
    migration.sync(database.url)
    databases.Database('', None, database.url, None).fill(router.HOST, 1)
    database.caught_up()
    assert ' us and 0 statements more' in router.added(database, rounds=3)
