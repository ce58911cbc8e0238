import os

import pytest
import sqlalchemy as sa

from computed.db.engine import address
from computed.db.engine import server_sql
from computed.db.engine import setup


def engine(path, **options):
    made = setup.single(address.prepare(f'sqlite:///{path}'))
    setup.tune(made, **options)
    return made


def test_a_connection_knows_its_server(tmp_path):
    made = engine(tmp_path / 'file')
    with made.connect() as connection:
        assert connection.info['identity'] == os.path.realpath(
            tmp_path / 'file')
        assert connection.info['cluster'] is None
        assert connection.scalar(sa.select(sa.literal_column(
            server_sql.identity(made)))) == connection.info['identity']


def test_a_file_that_must_exist_is_not_created(tmp_path):
    with pytest.raises(Exception, match='no such file'):
        engine(tmp_path / 'file', must_exist=True).connect()
    assert not (tmp_path / 'file').exists()
