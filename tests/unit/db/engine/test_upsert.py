import pytest
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite

from computed.db.cell import models
from computed.db.engine import upsert

DIALECTS = {'mysql': mysql.dialect(), 'mariadb': mysql.dialect(),
            'postgresql': postgresql.dialect(), 'sqlite': sqlite.dialect()}
ROW = {'conductor_id': 'b', 'heartbeat': 1, 'sent_at': None}


def compiled(name):
    rows = [ROW, {**ROW, 'conductor_id': 'a'}]
    return upsert.newer(name, models.ReplicaHeartbeat.__table__, rows,
                        'heartbeat').compile(dialect=DIALECTS[name])


@pytest.mark.parametrize('name', DIALECTS)
def test_it_is_one_statement_in_the_order_of_the_keys(name):
    found = compiled(name)
    assert str(found).count('INSERT') == 1
    assert found.params['conductor_id_m0'] == 'a'
    assert found.params['conductor_id_m1'] == 'b'


@pytest.mark.parametrize('name', ['mysql', 'mariadb'])
def test_on_mariadb_the_guard_is_assigned_last(name):
    said = str(compiled(name)).partition('ON DUPLICATE KEY UPDATE')[2]
    assert said.split(', heartbeat = ')[0].strip().startswith('sent_at = ')
    assert said.rstrip().endswith(
        'heartbeat = IF(VALUES(heartbeat) > replica_heartbeats.heartbeat, '
        'VALUES(heartbeat), replica_heartbeats.heartbeat)')


@pytest.mark.parametrize('name', ['postgresql', 'sqlite'])
def test_elsewhere_the_guard_is_a_condition(name):
    said = str(compiled(name))
    assert 'ON CONFLICT (conductor_id) DO UPDATE SET' in said
    assert said.endswith(
        'WHERE excluded.heartbeat > replica_heartbeats.heartbeat')
