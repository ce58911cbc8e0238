import sqlite3

import pytest

from computed import context
from computed.db.cell import database as cell_database
from computed.db.cell import migration
from computed.db.cell.database import cell
from computed.db.routing import nodes
from computed.db.routing import router
from tests.support import routed


@pytest.mark.parametrize('found, problem', [
    ({}, None),
    ({'database_id': 'other'}, 'belongs to another database'),
    ({'identity': 'p'}, 'is the primary itself'),
    ({'schema_revision': None}, 'has schema None, too old'),
    ({'schema_revision': 'a0'}, 'has schema a0, too old'),
])
def test_what_makes_a_node_unfit(found, problem):
    expected = nodes.Expected('db1', 'p', ('a0',))
    assert expected.unfit({'database_id': 'db1', 'identity': 'r',
                           'schema_revision': 'a1', **found}) == problem


def test_a_test_may_supply_every_connection(tmp_path):
    there = tmp_path / 'there'
    migration.sync(f'sqlite:///{there}')
    made = []

    def connect(url):
        made.append(url.database)
        return sqlite3.connect(there, check_same_thread=False)

    nowhere = [str(tmp_path / name) for name in ('primary', 'replica')]
    found = router.Router(
        routed.make_settings(), f'sqlite:///{nowhere[0]}',
        [f'sqlite:///{nowhere[1]}'], creator=connect)
    cell.configure(found, lambda: 1000)
    found.incarnation.database_id = cell_database.get_id(context.new())
    routed.probe(found)
    assert made == nowhere
    assert not any(tmp_path.joinpath(path).exists() for path in nowhere)
    assert found.incarnation.database_id
