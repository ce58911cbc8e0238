import sqlite3

import pytest
import sqlalchemy as sa

from computed.db.engine import address
from computed.db.engine import setup
from computed.db.engine import sqlite


def another_can_write(path):
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        other.execute('BEGIN IMMEDIATE')
    except sqlite3.OperationalError:
        return False
    finally:
        other.close()
    return True


@pytest.mark.parametrize('writes', [True, False])
def test_only_a_transaction_that_will_write_locks_at_its_begin(
        tmp_path, writes):
    path = tmp_path / 'file'
    engine = setup.single(address.prepare(f'sqlite:///{path}'))
    setup.tune(engine)
    token = sqlite.writing.set(writes)
    try:
        with engine.begin() as connection:
            connection.execute(sa.text('SELECT 1'))
            assert another_can_write(path) is not writes
    finally:
        sqlite.writing.reset(token)
