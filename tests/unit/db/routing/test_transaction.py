import psycopg
import pymysql
import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exc

from computed.db.routing import transaction


def raised(error):
    return sa.exc.OperationalError('SELECT 1', {}, error)


@pytest.mark.parametrize('error, lost', [
    (db_exc.DBConnectionError(), True),
    (db_exc.DBNonExistentDatabase('computed'), True),
    # As libpq says it; the server itself said nothing.
    (raised(psycopg.OperationalError('consuming input failed')), True),
    (raised(psycopg.errors.LockNotAvailable('x')), False),
    (raised(pymysql.err.OperationalError(
        1054, 'Unknown column', sqlstate='42S22')), False),
    (db_exc.DBDuplicateEntry(), False)])
def test_a_lost_connection_is_known_however_it_is_said(error, lost):
    assert transaction.is_lost(error) is lost
