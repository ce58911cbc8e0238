import sqlite3

import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exc

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


def test_a_file_that_cannot_be_reached_is_an_error_of_the_database(tmp_path):
    """Its folder may be another user's; here it is no folder."""
    (tmp_path / 'folder').touch()
    engine = setup.single(sa.make_url(f'sqlite:///{tmp_path}/folder/file'))
    setup.tune(engine, must_exist=True)
    with pytest.raises(db_exc.DBConnectionError, match='cannot be reached'):
        engine.connect()


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
